"""Peaks that were cut: the line goes up steeply, runs level, and goes down steeply, at one height again and again.

A recorder that reaches the end of its range, a page that was cut through its rows, or a letter on a peak leaves such
a plateau. A heart does not: the tip of a QRS complex is round and narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.stretches import unbroken

LEAST_HEIGHT_MV: Final = 0.4
"""From the lead's median: smaller waves are round, and may be flat."""

FLAT_S: Final = 0.02
"""A plateau is at least so long, between slopes."""

FLAT_MV: Final = 0.015
"""And so level: of 100 recordings of PTB-XL none has such a peak (tests)."""

STEEP_MV_PER_S: Final = 15.0
"""On either side the line is at least so steep, within SLOPE_S: as in a QRS complex, and in no T wave."""

SLOPE_S: Final = 0.008


@dataclass(frozen=True)
class CutTip:
    """A plateau of `lead` at `time_s`, `height_mv` above (or below) the lead's median."""

    lead: str
    time_s: float
    height_mv: float


def cut_tips(recording: Recording) -> tuple[CutTip, ...]:
    """Return every plateau between two steep slopes, of all leads."""
    found: list[CutTip] = []
    for name, lead in zip(recording.lead_names, recording.signal_mv, strict=True):
        if np.isfinite(lead).any():
            centred = lead.astype(np.float64) - float(np.nanmedian(lead))
            found += [CutTip(name, time_s, height) for time_s, height in _plateaus(centred, recording.fs_hz)]
    return tuple(found)


def _plateaus(lead_mv: Float64[np.ndarray, " samples"], fs_hz: float) -> list[tuple[float, float]]:
    flat, slope = max(2, round(FLAT_S * fs_hz)), max(1, round(SLOPE_S * fs_hz))
    if len(lead_mv) < flat + 2 * slope + 1:
        return []
    high = np.flatnonzero(np.abs(lead_mv[: len(lead_mv) - flat]) > LEAST_HEIGHT_MV)
    level = np.zeros(len(lead_mv) - flat, bool)
    level[high] = np.ptp(lead_mv[high[:, None] + np.arange(flat + 1)], axis=1) < FLAT_MV
    found = []
    for first, after in unbroken(level):
        last = after - 1 + flat
        if first < slope or last + slope >= len(lead_mv):
            continue
        height = float(lead_mv[first : last + 1].mean())
        out = np.sign(height)
        rise = out * (lead_mv[first] - lead_mv[first - slope]) / slope * fs_hz
        fall = out * (lead_mv[last] - lead_mv[last + slope]) / slope * fs_hz
        if min(rise, fall) > STEEP_MV_PER_S:
            found.append(((first + last) / 2 / fs_hz, height))
    return found
