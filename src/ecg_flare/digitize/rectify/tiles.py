"""A repeating pattern tile by tile: the amplitude and phase of one period in each square part of a page."""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex64, Float32


def tile_amplitudes(
    signal: Float32[np.ndarray, "h w"], period_px: float, side_px: int
) -> Complex64[np.ndarray, "rows columns"]:
    """Amplitude and phase of the lines that repeat along x at a period, in each square tile of a page."""
    rows, columns = signal.shape[0] // side_px, signal.shape[1] // side_px
    area = signal[: rows * side_px, : columns * side_px]
    profile = area.reshape(rows, side_px, columns, side_px).mean(axis=1)
    profile = profile - profile.mean(axis=2, keepdims=True)
    turning = np.exp(-2j * np.pi * np.arange(columns * side_px) / period_px).astype(np.complex64)
    window = np.hanning(side_px + 2)[1:-1].astype(np.float32)
    amplitudes: Complex64[np.ndarray, "rows columns"] = (profile * turning.reshape(columns, side_px) * window).mean(
        axis=2
    )
    return amplitudes
