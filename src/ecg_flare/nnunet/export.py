"""Models on disk: our own .npz, which holds numbers only, and the folder that stock nnU-Net loads."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import ConfigError, PlanMismatchError, StorageError, UpdateError
from ecg_flare.nnunet.kinds import carried_document, verified_plan
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.nnunet.plan import Plan, network, parameter_count, unflatten_into
from ecg_flare.storage import read_arrays, write_atomically

CHECKPOINT: Final = "checkpoint_final.pth"
# Prediction asks the trainer for the network's architecture only, which all plain trainers share. nnU-Net finds this
# one without importing the others, whose own dependencies (timm, torchvision) may be broken where pages are read.
TRAINER: Final = "nnUNetTrainer"


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model as read from a file: its plan, its parameters, and how it came about."""

    plan: AgreedPlan
    vector: Float32[np.ndarray, " d"]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def save_model(
    path: Path,
    vector: Float32[np.ndarray, " d"],
    plan: AgreedPlan,
    provenance: Mapping[str, Any] | None = None,
    *,
    mode: int = 0o644,
) -> Path:
    """Write a model as .npz: the vector, and as JSON text its plan's name and hash, layout digest and provenance.

    The file appears whole or not at all, with the permission bits `mode`. Raises UpdateError for a vector of another
    length and StorageError where it cannot be written.
    """
    check_length(vector, plan)
    header = {
        "plan": plan.name,
        "plan_hash": plan.hash,
        "document": carried_document(plan),
        "layout_digest": plan.layout_digest,
        "provenance": dict(provenance or {}),
    }
    arrays = {"vector": np.asarray(vector, np.float32), "header": np.array(json.dumps(header, sort_keys=True))}
    write_atomically(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays), mode=mode)
    return path


def load_model(path: Path) -> StoredModel:
    """Read what `save_model` wrote, never unpickling.

    Raises ConfigError where the file is missing or no such model, PlanMismatchError where it belongs to another
    version of its plan or another order of parameters.
    """
    try:
        arrays = read_arrays(path)
        vector, text = arrays["vector"], str(arrays["header"])
    except (StorageError, KeyError) as error:
        raise ConfigError(f"{path} is no ecg_flare model (.npz): {error}") from error
    where = f"{path} is no ecg_flare model (.npz)"
    header = Fields(parse_object(text, where, ConfigError), where, ConfigError)
    name, plan_hash, digest = (header.text(key) for key in ("plan", "plan_hash", "layout_digest"))
    plan = verified_plan(name, plan_hash, header.text("document", ""))
    if digest != plan.layout_digest:
        raise PlanMismatchError(
            f"{path} orders its parameters as {digest[:12]}, the plan here {plan.layout_digest[:12]}"
        )
    check_length(vector, plan)
    return StoredModel(plan, vector, header.mapping("provenance"))


def bundled_names() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    files = resources.files("ecg_flare").joinpath("models").iterdir()
    return tuple(sorted(Path(file.name).stem for file in files if file.name.endswith(".npz")))


def load_bundled(name: str) -> StoredModel:
    """The model of that name that comes with the package; raises ConfigError for an unknown name."""
    if name not in bundled_names():
        raise ConfigError(f"no model {name!r} comes with ecg_flare: choose one of {', '.join(bundled_names())}")
    with resources.as_file(resources.files("ecg_flare").joinpath("models", f"{name}.npz")) as path:
        return load_model(path)


def export_model_folder(vector: Float32[np.ndarray, " d"], plan: Plan, folder: Path) -> Path:
    """Write a model as the folder that stock nnU-Net predicts from (`nnUNetv2_predict_from_modelfolder -m FOLDER`).

    An earlier folder of that name is replaced once the new one is whole. Raises StorageError where it cannot be
    written.
    """
    import torch

    check_length(vector, plan)
    module = network(plan)
    unflatten_into(module, vector)
    checkpoint = {
        # here nnU-Net wants its state_dict, each tensor about three times; torch stores the shared storage once
        "network_weights": module.state_dict(),
        "trainer_name": TRAINER,
        "init_args": {"configuration": plan.configuration_name},
        "inference_allowed_mirroring_axes": None,
    }
    with atomic_folder(folder) as building:
        (building / "plans.json").write_text(json.dumps(plan.plans, indent=1))
        (building / "dataset.json").write_text(json.dumps({**plan.dataset_json, "numTraining": 0}, indent=1))
        (building / "fold_0").mkdir()
        torch.save(checkpoint, building / "fold_0" / CHECKPOINT)
    return folder


def check_length(vector: Float32[np.ndarray, " d"], plan: AgreedPlan) -> None:
    """Raise UpdateError for what is no float32 vector of the plan's length."""
    if vector.shape != (parameter_count(plan),) or vector.dtype != np.float32:
        raise UpdateError(
            f"a model vector has shape {vector.shape} of {vector.dtype}, plan {plan.name!r} needs "
            f"({parameter_count(plan)},) of float32"
        )


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which replaces `folder` once it is whole; raises StorageError where it cannot."""
    building: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        building.chmod(0o755)
        yield building
        for path in building.rglob("*"):
            if path.is_file():
                _sync(path)
        _replace_folder(building, folder)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
        raise StorageError(f"cannot write the model folder {folder}: {error}") from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)


def _replace_folder(building: Path, folder: Path) -> None:
    if not folder.exists():
        building.rename(folder)
        return
    retired = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(retired / folder.name)
    building.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
