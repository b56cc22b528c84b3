"""The tensors that a site trains in a job and keeps (`TrainedModel.local`): after each round, on its own disk.

A file a job, named by the digest of its terms, which the site's account alone can read. It holds the last rounds, each
with the hash of the model that it was trained from: a round that failed is trained again from the same model, and then
from what the site had before it. No message carries any of it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import ConfigError, StorageError
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.storage import locked, move, read_arrays, write_arrays

OWN_TENSORS_FOLDER: Final = "ecg_flare_own_tensors"
_KEPT_ROUNDS: Final = 3
_MAX_ROUND: Final = 10**9


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

    def into(
        self, model: Float32[np.ndarray, " d"], *, before: int | None = None, not_from: str | None = None
    ) -> Float32[np.ndarray, " d"]:
        """The model with the site's own tensors, of its last round that counts.

        Args:
            model: begins with its own where the site has none yet.
            before: rounds from this one on do not count; None counts all.
            not_from: SHA-256 (hex) of a model; rounds that were trained from it failed, and do not count.

        Raises StorageError for a file of something else.
        """
        rounds = [kept for kept in self._rounds() if (before is None or kept.index < before) and kept.model != not_from]
        return self.subset.put(model, rounds[-1].part) if rounds else model

    def keep(self, round_index: int, trained_from: str, model: Float32[np.ndarray, " d"]) -> None:
        """Keep the site's own tensors of a model that was trained in a round, in the place of any later round's.

        Where a job begins anew, what it left before is moved aside (`.earlier`). `trained_from` is the SHA-256 (hex) of
        the global model. Raises StorageError where the file cannot be written; what stood there is unchanged.
        """
        with locked(self.path.parent):
            rounds = self._rounds()
            if round_index == 0 and rounds and rounds[-1].index > 0:
                move(self.path, self.path.with_suffix(".earlier"))
            earlier = [kept for kept in rounds if kept.index < round_index][1 - _KEPT_ROUNDS :]
            kept = [*earlier, _Kept(round_index, trained_from, self.subset.take(model))]
            header = {
                "plan_hash": self.plan_hash,
                "names": list(self.subset.names),
                "rounds": [one.index for one in kept],
                "models": [one.model for one in kept],
            }
            arrays = {"header": np.array(json.dumps(header)), "parts": np.stack([one.part for one in kept])}
            write_arrays(self.path, arrays, mode=0o600)

    def _rounds(self) -> list[_Kept]:
        if not self.path.exists():
            return []
        plan_hash, names, rounds = _read(self.path)
        if plan_hash != self.plan_hash or names != self.subset.names:
            raise StorageError(f"{self.path} holds tensors of another network: move it away")
        if any(kept.part.shape != (self.subset.dimension,) or kept.part.dtype != np.float32 for kept in rounds):
            raise StorageError(f"{self.path} holds tensors of another size: move it away")
        return rounds


@dataclass(frozen=True, eq=False)
class _Kept:
    """A round, the model that it was trained from, and what the site kept of it."""

    index: int
    model: str
    part: Float32[np.ndarray, " own"]


def own_tensors_of(workspace: Path, plan: AgreedPlan, job: str = "") -> OwnTensors:
    """What the site kept of a plan's network in a job, which is named by the first digits of its terms' digest.

    Without a name there must be one such job. Files that cannot be read belong to no job here. Raises ConfigError where
    there is none, or more than one.
    """
    found = []
    for path in sorted((workspace / OWN_TENSORS_FOLDER).glob(f"{job}*.npz")):
        with suppress(StorageError):
            its_plan, names, _ = _read(path)
            if its_plan == plan.hash:
                found.append((path, names))
    of_job = f" in a job {job!r}" if job else ""
    if not found:
        raise ConfigError(
            f"{workspace / OWN_TENSORS_FOLDER} has nothing of the plan {plan.name!r} ({plan.hash[:12]}){of_job}: "
            "no job with --local trained it here"
        )
    if len(found) > 1:
        jobs = ", ".join(path.stem[:12] for path, _ in found)
        raise ConfigError(f"several jobs trained the plan {plan.name!r} here{of_job}: name one of {jobs}")
    path, names = found[0]
    return OwnTensors(path, TrainableSubset(plan.layout, names), plan.hash)


def _read(path: Path) -> tuple[str, tuple[str, ...], list[_Kept]]:
    arrays = read_arrays(path)
    where = f"{path}: its header"
    header = Fields(parse_object(str(arrays.get("header", "")), where, StorageError), where, StorageError)
    names: tuple[str, ...] = header.texts("names")
    rounds = [int(index) for index in header.series("rounds", 0, _MAX_ROUND)]
    models: tuple[str, ...] = header.texts("models")
    parts = arrays.get("parts", np.zeros((0, 0)))
    if not len(rounds) == len(models) == len(parts) or rounds != sorted(set(rounds)):
        raise StorageError(f"{path} has {len(parts)} parts of the rounds {rounds}: move it away")
    return header.text("plan_hash"), names, [_Kept(*one) for one in zip(rounds, models, parts, strict=True)]
