"""Which periods a grid has along one axis: its autocorrelation, averaged over bands of an upright page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64

UPSAMPLE: Final = 8
"""Lags are read to an eighth of a pixel before the parabola."""
_LINE_PERIODS: Final = 1.5  # what is narrower than this, in periods, is a line; the rest is shade, ink or table


@dataclass(frozen=True, eq=False)
class Correlation:
    """Autocorrelation of the grid's lines along one axis; lags in pixels.

    `period_px` is the strongest period of the grid, from the lattice's spectrum.
    """

    values: Float64[np.ndarray, " n"]
    length_px: int
    period_px: float

    def at(self, lag_px: float) -> float:
        """Correlation at a lag; NaN beyond the longest one measured."""
        position = lag_px * UPSAMPLE
        low = int(position)
        if low + 1 >= len(self.values):
            return float("nan")
        part = position - low
        return float((1 - part) * self.values[low] + part * self.values[low + 1])

    def peak_near(self, lag_px: float, within_px: float) -> tuple[float, float]:
        """Lag and height of the highest correlation within a distance of a lag."""
        low = max(1, int((lag_px - within_px) * UPSAMPLE))
        high = min(len(self.values) - 1, int((lag_px + within_px) * UPSAMPLE) + 2)
        if high - low < 3:
            return lag_px, float("nan")
        best = low + int(np.argmax(self.values[low:high]))
        if best in (low, high - 1):
            return lag_px, self.at(lag_px)
        left, middle, right = self.values[best - 1 : best + 2]
        curve = left - 2 * middle + right
        offset = 0.0 if curve >= 0 else float((left - right) / (2 * curve))
        return (best + offset) / UPSAMPLE, float(middle)


def correlate(signal: Float32[np.ndarray, "h w"], period_px: float) -> Correlation:
    """Autocorrelation along x of the grid's darkness, averaged over bands of rows.

    Bands, not the whole height, since curved paper moves the lines sideways from top to bottom.

    Args:
        signal: darkness of the grid (lattice.grid_signal); transpose it to measure along y.
        period_px: strongest period of the grid; it sets the bands' height, and how narrow a line is.
    """
    height, width = signal.shape
    count = max(1, height // int(max(24, 6 * period_px)))
    rows = height // count
    bands = signal[: count * rows].reshape(count, rows, width).mean(axis=1)
    # A top hat keeps what is narrow and dark: subtracting a mean instead would leave troughs beside strong lines,
    # and with them correlations that are not the grid's.
    narrow = np.ones((1, max(3, round(_LINE_PERIODS * period_px))), np.uint8)
    bands = cv2.morphologyEx(np.ascontiguousarray(bands), cv2.MORPH_TOPHAT, narrow)
    bands = np.minimum(bands, np.quantile(bands, 0.985, axis=1, keepdims=True))
    bands = bands - bands.mean(axis=1, keepdims=True)
    deviation = np.sqrt((bands**2).mean(axis=1, keepdims=True))
    bands = bands / np.maximum(deviation, 1e-6)
    points = 2 << (width - 1).bit_length()
    power = (np.abs(np.fft.rfft(bands, points, axis=1)) ** 2).mean(axis=0)
    padded = np.zeros(UPSAMPLE * points // 2 + 1)
    padded[: len(power)] = power
    count_lags = int(0.7 * width * UPSAMPLE)
    values = np.fft.irfft(padded)[:count_lags] * UPSAMPLE
    values /= width - np.arange(count_lags) / UPSAMPLE  # fewer samples overlap at longer lags
    return Correlation(values / max(float(values[0]), 1e-12), width, period_px)
