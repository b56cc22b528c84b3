"""Rows that stand aside of each other in time: the shift of a limb lead at which the identities hold best.

Print that is turned against its grid, a pen that leans, a border set wrongly in one row: each lead is well read, and
stands some milliseconds from the others. 12 ms are 0.3 mm of paper at 25 mm/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from ecg_flare.digitize.leads.limb_groups import LimbGroup, limb_groups
from ecg_flare.ecg.record import Recording

LARGEST_S: Final = 0.04
"""Shifts up to this are tried, either way."""

STEP_S: Final = 0.004

LEAST_S: Final = 0.008
"""A smaller lag is not told: at 100 dpi a column is 10 ms, and a line is read to a fraction of that."""

LEFT: Final = 0.35
"""A lag is told only if setting it right leaves less than this share of the power that broke the identities."""


@dataclass(frozen=True)
class RowLag:
    """A limb lead that stands `lag_s` later than the `others` of its time (earlier, where negative)."""

    lead: str
    others: tuple[str, ...]
    lag_s: float


def row_lags(recording: Recording) -> tuple[RowLag, ...]:
    """Return the limb leads that stand at least LEAST_S aside of the others that were read at the same time."""
    found = (_lag_of(group, recording.fs_hz) for group in limb_groups(recording))
    return tuple(lag for lag in found if lag is not None)


def _lag_of(group: LimbGroup, fs_hz: float) -> RowLag | None:
    """Return the one lead whose shift alone mends the identities best, if that mends them well."""
    step, reach = max(1, round(STEP_S * fs_hz)), round(LARGEST_S * fs_hz)
    shifts = np.arange(-(reach // step), reach // step + 1) * step
    if len(group.samples) < 4 * reach or np.ptp(group.samples) >= len(group.samples):
        return None
    left = np.stack([_power_outside(group, number, shifts) for number in range(len(group.leads))])
    number, best = np.unravel_index(int(left.argmin()), left.shape)
    lag_s = float(shifts[best]) / fs_hz
    unmoved = left[number, len(shifts) // 2]
    if abs(lag_s) < LEAST_S or left[number, best] > LEFT * unmoved:
        return None
    lead = group.leads[number]
    return RowLag(lead, tuple(name for name in group.leads if name != lead), lag_s)


def _power_outside(
    group: LimbGroup, moved: int, shifts: Int64[np.ndarray, " shifts"]
) -> Float64[np.ndarray, " shifts"]:
    """Return what is left outside of the hearts' plane when one lead is taken from later by each shift, in samples."""
    reach = int(shifts[-1])
    middle = slice(reach, group.values_mv.shape[1] - reach)
    lead, direction = group.values_mv[moved], group.outside[:, moved]
    others = (group.outside @ group.values_mv)[:, middle] - np.outer(direction, lead[middle])
    taken = np.stack([lead[reach + shift : reach + shift + others.shape[1]] for shift in shifts])
    power = others.var(axis=1).sum() + (direction**2).sum() * taken.var(axis=1)
    crossed = (taken - taken.mean(axis=1, keepdims=True)) @ (others.T @ direction) / others.shape[1]
    return np.asarray(power + 2.0 * crossed)
