"""When the heart beats, seen in all rows together: lines are steep in a QRS complex and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

MIN_SAMPLES: Final = 50
"""Fewer samples of a row say nothing about its beats."""

Signal = Float64[np.ndarray, " n"]


def activity(signals: Sequence[Signal], width: int) -> Signal:
    """Return when the heart beats in a column: the mean steepness of all its rows, smoothed over `width` samples."""
    total = np.zeros(len(signals[0]))
    for signal in signals:
        known = np.isfinite(signal)
        if known.sum() < MIN_SAMPLES:
            continue
        steep = np.abs(np.gradient(np.interp(np.arange(len(signal)), np.flatnonzero(known), signal[known])))
        total += steep / max(float(steep.mean()), 1e-9)
    kernel = np.hanning(max(3, width) + 2)
    smooth: Signal = np.convolve(total, kernel / kernel.sum(), mode="same")
    return smooth
