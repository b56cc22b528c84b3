"""Limb leads of the same time, and what of them no heart can have made.

Of the six limb leads any three span two dimensions (Einthoven 1913, Goldberger 1942). What three or more of them have
outside the plane of their coefficients is noise of the reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from ecg_flare.digitize.beats import MIN_SAMPLES
from ecg_flare.ecg.leads import LIMB_LEADS, limb_leads
from ecg_flare.ecg.record import Recording

FEWEST_LEADS: Final = 3
_COEFFICIENTS: Final = limb_leads(np.array([1.0, 0.0]), np.array([0.0, 1.0]))


@dataclass(frozen=True, eq=False)
class LimbGroup:
    """Limb leads that were read at the same `samples` of a recording.

    `values_mv` are theirs, less each one's median. `outside` are the directions that no heart has, orthonormal rows:
    two fewer than leads.
    """

    leads: tuple[str, ...]
    samples: Int64[np.ndarray, " n"]
    values_mv: Float64[np.ndarray, "leads n"]
    outside: Float64[np.ndarray, "directions leads"]


def limb_groups(recording: Recording) -> tuple[LimbGroup, ...]:
    """Return the groups of three or more limb leads that were read together for at least MIN_SAMPLES samples."""
    limb = np.stack([recording.lead(name) for name in LIMB_LEADS]).astype(np.float64)
    known = np.isfinite(limb)
    codes = (1 << np.arange(len(LIMB_LEADS))) @ known
    groups = []
    for code in np.unique(codes):
        rows = np.flatnonzero([int(code) >> row & 1 for row in range(len(LIMB_LEADS))])
        samples = np.flatnonzero(codes == code)
        if len(rows) < FEWEST_LEADS or len(samples) < MIN_SAMPLES:
            continue
        values = limb[np.ix_(rows, samples)]
        values = values - np.median(values, axis=1, keepdims=True)
        directions = np.linalg.qr(_COEFFICIENTS[rows], mode="complete")[0][:, 2:].T
        groups.append(LimbGroup(tuple(LIMB_LEADS[row] for row in rows), samples, values, directions))
    return tuple(groups)
