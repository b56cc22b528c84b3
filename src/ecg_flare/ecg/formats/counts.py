"""A recording as whole numbers, as files of signals hold it: steps of 1 µV, and one number for "nothing there"."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int16

from ecg_flare.ecg.record import MISSING_ADU, Recording, to_adu


@dataclass(frozen=True, eq=False)
class Counts:
    """A recording's samples as whole numbers of `uv_per_count` microvolts; MISSING_ADU where it is NaN."""

    values: Int16[np.ndarray, "leads samples"]
    uv_per_count: float

    @classmethod
    def of(cls, recording: Recording) -> Counts:
        """Return a recording's samples: steps of 1 µV, or coarser ones for a signal beyond 32.767 mV."""
        values, adu_per_mv = to_adu(recording.signal_mv)
        return cls(values, 1000.0 / adu_per_mv)

    @property
    def digest(self) -> str:
        """SHA-256 of the samples: identifiers that are made of it are the same when a page is read again."""
        return hashlib.sha256(self.values.tobytes() + repr((self.values.shape, self.uv_per_count)).encode()).hexdigest()


__all__ = ["MISSING_ADU", "Counts"]
