"""Which patients are trained on, and which are held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

Split = Literal["train", "val"]


def split_patients(patient_ids: Iterable[str], validation_fraction: float) -> dict[str, Split]:
    """Which side of the split each patient is on.

    The order that decides is a hash of the patient's id, so that it needs no secret and adding patients moves few.
    At least one patient is on each side where there are two; a single patient is for training.
    """
    ordered = sorted(set(patient_ids), key=lambda patient: hashlib.sha256(patient.encode()).digest())
    n_val = min(max(1, round(validation_fraction * len(ordered))), len(ordered) - 1)
    if validation_fraction == 0:
        n_val = 0
    return {patient: "val" if rank < n_val else "train" for rank, patient in enumerate(ordered)}


def split_each_alone(patient_ids: Iterable[str], validation_fraction: float) -> dict[str, Split]:
    """Which side of the split each patient is on, by nothing but that patient's id: about the fraction is held out.

    By ranks, as `split_patients` has it, a patient who comes or goes could move another one to the other side, and
    change two patients' vectors where the sensitivity counts one.
    """
    below = int(validation_fraction * 2**64)

    def side(patient: str) -> Split:
        return "val" if int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") < below else "train"

    return {patient: side(patient) for patient in set(patient_ids)}
