"""How a heart beats on the paper: the distance from beat to beat, and a beat's width, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.beats import activity

SMOOTHING_MM: Final = 1.0
MIN_BEAT_MM: Final = 5.0
MIN_HEIGHT: Final = 0.4  # of a beat's activity, over that of the steepest ones
WIDTH_AT: Final = 0.3  # of a beat's height
MIN_BEATS: Final = 3


@dataclass(frozen=True)
class TypicalBeat:
    """The median distance from beat to beat, and a beat's width, in millimetres of paper."""

    interval_mm: float
    width_mm: float


def measure_heart_rate(y_mm: Float64[np.ndarray, "rows n"], step_mm: float) -> TypicalBeat | None:
    """Measure the beats of all rows together on their raster; None where there are fewer than MIN_BEATS."""
    from scipy.signal import find_peaks

    steep = activity(list(y_mm), round(SMOOTHING_MM / step_mm))
    highest = float(np.percentile(steep, 99))
    if highest <= 0:
        return None
    beats, _ = find_peaks(steep, height=MIN_HEIGHT * highest, distance=max(1, round(MIN_BEAT_MM / step_mm)))
    if len(beats) < MIN_BEATS:
        return None
    rest = float(np.median(steep))
    widths = [_width(steep, int(beat), rest) for beat in beats]
    return TypicalBeat(float(np.median(np.diff(beats))) * step_mm, float(np.median(widths)) * step_mm)


def _width(steep: Float64[np.ndarray, " n"], beat: int, rest: float) -> int:
    below = steep <= rest + WIDTH_AT * (steep[beat] - rest)
    before, after = np.flatnonzero(below[:beat]), np.flatnonzero(below[beat:])
    first = int(before[-1]) if len(before) else 0
    last = beat + int(after[0]) if len(after) else len(steep) - 1
    return last - first
