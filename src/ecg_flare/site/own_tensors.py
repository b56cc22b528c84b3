"""The tensors that a site trains in a job and keeps (`TrainedModel.local`): after each round, on its own disk.

A file a job, named by the digest of its terms, which the site's account alone can read. It holds the last rounds, since
a round that failed is trained again from what the site had before it. No message carries any of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import ConfigError, StorageError
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.storage import read_arrays, write_arrays

OWN_TENSORS_FOLDER: Final = "ecg_flare_own_tensors"
_KEPT_ROUNDS: Final = 3
_ROUND: Final = "round_"


@dataclass(frozen=True)
class OwnTensors:
    """A site's own tensors of one job.

    Attributes:
        path: of the file.
        subset: the tensors that are its own.
        plan_hash: of the network.
    """

    path: Path
    subset: TrainableSubset
    plan_hash: str

    def into(self, model: Float32[np.ndarray, " d"], before: int | None = None) -> Float32[np.ndarray, " d"]:
        """The model with the site's own tensors of its last round, or of the last one before round `before`.

        A site that has none yet begins with those of the model. Raises StorageError for a file of something else.
        """
        rounds = {index: part for index, part in self._rounds().items() if before is None or index < before}
        return self.subset.put(model, rounds[max(rounds)]) if rounds else model

    def keep(self, round_index: int, model: Float32[np.ndarray, " d"]) -> None:
        """Keep the site's own tensors of a model that was trained in a round, in the place of any later round's.

        Raises StorageError where the file cannot be written; what stood there is unchanged.
        """
        earlier = {index: part for index, part in self._rounds().items() if index < round_index}
        rounds = {**earlier, round_index: self.subset.take(model)}
        header = {"plan_hash": self.plan_hash, "names": list(self.subset.names)}
        arrays = {f"{_ROUND}{index}": rounds[index] for index in sorted(rounds)[-_KEPT_ROUNDS:]}
        arrays["header"] = np.array(json.dumps(header))
        write_arrays(self.path, arrays, mode=0o600)

    def _rounds(self) -> dict[int, Float32[np.ndarray, " own"]]:
        if not self.path.exists():
            return {}
        plan_hash, names, rounds = _read(self.path)
        if plan_hash != self.plan_hash or names != self.subset.names:
            raise StorageError(f"{self.path} holds tensors of another network: move it away")
        if any(part.shape != (self.subset.dimension,) or part.dtype != np.float32 for part in rounds.values()):
            raise StorageError(f"{self.path} holds tensors of another size: move it away")
        return rounds


def newest_own_tensors(workspace: Path, plan: AgreedPlan) -> OwnTensors:
    """What the site kept last for a plan's network, in whatever job.

    Raises ConfigError where it kept nothing for it, and StorageError for a file that is none.
    """
    found = []
    for path in (workspace / OWN_TENSORS_FOLDER).glob("*.npz"):
        its_plan, names, _ = _read(path)
        if its_plan == plan.hash:
            found.append((path.stat().st_mtime, path, names))
    if not found:
        raise ConfigError(
            f"{workspace / OWN_TENSORS_FOLDER} has nothing of the plan {plan.name!r} ({plan.hash[:12]}): no job with "
            "--local trained it here"
        )
    _, path, names = max(found)
    return OwnTensors(path, TrainableSubset(plan.layout, names), plan.hash)


def _read(path: Path) -> tuple[str, tuple[str, ...], dict[int, Float32[np.ndarray, " own"]]]:
    arrays = read_arrays(path)
    where = f"{path}: its header"
    header = Fields(parse_object(str(arrays.pop("header", "")), where, StorageError), where, StorageError)
    names: tuple[str, ...] = header.texts("names")
    rounds = {}
    for name, part in arrays.items():
        index = name.removeprefix(_ROUND)
        if not index.isdecimal():
            raise StorageError(f"{path} holds {name!r}, which no round left there")
        rounds[int(index)] = part
    return header.text("plan_hash"), names, rounds
