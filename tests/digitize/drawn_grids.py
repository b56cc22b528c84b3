"""Grids drawn from formulas: how far each pixel is covered by lines, averaged over the pixel exactly."""

import numpy as np


def lines(length: int, pitch: float, phase: float, width: float) -> np.ndarray:
    """Coverage of pixels by lines of a width at phase + k * pitch, averaged over each pixel exactly."""
    edges = np.arange(length + 1) - 0.5
    turns = (edges - phase) / pitch
    integral = np.floor(turns) * width + np.minimum((turns - np.floor(turns)) * pitch, width)
    return np.diff(integral)


def grid_signal_of(pitch_x: float, pitch_y: float, shape: tuple[int, int] = (700, 1000)) -> np.ndarray:
    fine = np.maximum(lines(shape[1], pitch_x, 2.3, 0.6)[None], lines(shape[0], pitch_y, 1.1, 0.6)[:, None]) * 0.4
    heavy = np.maximum(lines(shape[1], 5 * pitch_x, 2.3, 1.0)[None], lines(shape[0], 5 * pitch_y, 1.1, 1.0)[:, None])
    return np.maximum(fine, heavy).astype(np.float32)
