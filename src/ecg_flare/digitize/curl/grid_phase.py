"""Where the grid's lines stand, at nodes all over a page: their amplitude and phase at one period.

A signal of lines at the places X(x) = x + d(x), multiplied by exp(-2 pi i x / P) and averaged over a few periods, is a
complex number whose angle is 2 pi d(x) / P. Ink would pull it, so ink is taken out first.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Complex64, Float32, UInt8

from ecg_flare.digitize.rectify.lattice import grid_cap
from ecg_flare.digitize.rectify.light import grid_darkness
from ecg_flare.page.displacement import Nodes

_INK: Final = 1.35  # ink is this many times as dark as the darkest twentieth of the page
_RIM: Final = (5, 5)  # pixels around ink that are not the grid's own
_SMOOTH_MM: Final = 2.0  # what varies more slowly than this is light, not lines
_LEAST_PAPER: Final = np.float32(1e-3)  # of a place's surroundings: below, all is ink there


def quiet_grid(image: UInt8[np.ndarray, "h w 3"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    """Darkness of the grid's lines around zero, without ink and without light that changes slowly."""
    dark = grid_darkness(image)
    cap = grid_cap(dark)
    ink = cv2.dilate((dark > _INK * cap).astype(np.uint8), np.ones(_RIM, np.uint8)) > 0
    capped = np.minimum(dark, cap) / cap
    around = _mean_around(capped, (~ink).astype(np.float32), max(3, round(3 * _SMOOTH_MM * px_per_mm)) | 1)
    lines: Float32[np.ndarray, "h w"] = np.where(ink, np.float32(0.0), capped - around)
    return lines


def _mean_around(
    values: Float32[np.ndarray, "h w"], weight: Float32[np.ndarray, "h w"], size_px: int
) -> Float32[np.ndarray, "h w"]:
    """The weighted mean around each pixel, of a box that is averaged twice.

    Without the weight, ink would lighten the paper beside it: a stroke of 17 mm then moves 5 mm lines by half a
    millimetre, and the 1 mm pass takes the next line.
    """

    def smooth(plane: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
        twice: Float32[np.ndarray, "h w"] = cv2.blur(cv2.blur(plane, (size_px, size_px)), (size_px, size_px))
        return twice

    mean: Float32[np.ndarray, "h w"] = smooth(values * weight) / np.maximum(smooth(weight), _LEAST_PAPER)
    return mean


def amplitudes(
    signal: Float32[np.ndarray, "h w"], period_px: float, nodes: Nodes, blur_px: tuple[float, float]
) -> Complex64[np.ndarray, "rows columns"]:
    """Amplitude and phase of the lines that repeat along x at a period, averaged around each node.

    `blur_px` is the standard deviation of the average along the lines, and across them.
    """
    turning = np.exp(-2j * np.pi * np.arange(signal.shape[1]) / period_px).astype(np.complex64)
    parts = [_at_nodes(signal * part, nodes, blur_px) for part in (turning.real, turning.imag)]
    found: Complex64[np.ndarray, "rows columns"] = (parts[0] + 1j * parts[1]).astype(np.complex64)
    return found


def _at_nodes(
    values: Float32[np.ndarray, "h w"], nodes: Nodes, blur_px: tuple[float, float]
) -> Float32[np.ndarray, "rows columns"]:
    below, right = nodes.rows * nodes.step_px - values.shape[0], nodes.columns * nodes.step_px - values.shape[1]
    padded = cv2.copyMakeBorder(values, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0.0)
    means = cv2.resize(padded, (nodes.columns, nodes.rows), interpolation=cv2.INTER_AREA)
    along, across = blur_px[0] / nodes.step_px, blur_px[1] / nodes.step_px
    blurred: Float32[np.ndarray, "rows columns"] = cv2.GaussianBlur(
        means, (0, 0), sigmaX=across, sigmaY=along, borderType=cv2.BORDER_CONSTANT
    )
    return blurred
