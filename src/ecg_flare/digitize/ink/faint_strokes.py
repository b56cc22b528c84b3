"""Steep strokes that a fast pen or a blurred picture left faint: their ink is brought up to that of level lines.

A pen that runs up an R wave leaves less ink than one that rests: on photographs of thermal paper steep strokes have 0.2
to 0.5 of the level line's darkness, and break where the grid was taken off. They are told from what is left of the
paper by their shape: the mean ink along an upright stroke is more than across it, and they go on from full ink.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from ecg_flare.digitize.ink.pieces import connected_to
from ecg_flare.digitize.units import PxPerMm

FAINTEST: Final = 0.04
"""Share of ink from which on a pixel may belong to a faint stroke."""

LENGTH_MM: Final = 1.5
"""Of the pieces of stroke, above and below a pixel, that ink is averaged over: what is left of a dot or a line of the
grid has a third of it."""

SLOPES: Final = tuple(np.linspace(-0.4, 0.4, 5))
"""Way along x over way along y, in pixels: from 22 degrees on either side of upright."""

STROKE: Final = (0.12, 0.7)
"""Mean ink along a faint stroke: less is paper, more is as dark as any line."""

UPRIGHT: Final = 1.3
"""Mean ink along a stroke over that along x."""

BESIDE_MM: Final = 0.25
"""To each side: a rim of a stroke is compared with the stroke."""

FULL: Final = 0.5
"""Ink that a faint stroke joins."""

LEAST_SHARE: Final = 0.06
"""Of the inked pixels, that are faint strokes where a pen or a camera made them so: 14 to 32 % on real pages. Of even
ink 1.6 to 3 % look like that: corners of dark strokes, which are best left as they are."""


def lift_faint_strokes(ink: Float32[np.ndarray, "h w"], px_per_mm: PxPerMm) -> Float32[np.ndarray, "h w"]:
    """Return the traces' ink, 0 to 1, with faint upright strokes that join full ink brought up to it."""
    length = max(3, round(LENGTH_MM * px_per_mm.y))
    along = cv2.blur(ink, (2 * max(1, round(LENGTH_MM * px_per_mm.x)) + 1, 1))
    along = cv2.dilate(along, np.ones((2 * max(1, round(BESIDE_MM * px_per_mm.y)) + 1, 1), np.uint8))
    upright = np.zeros_like(ink)
    for slope in SLOPES:
        below, at = _line_down(length, slope)
        above = below[::-1, ::-1]
        for kernel, place in ((below, at), (above, (below.shape[1] - 1 - at[0], length))):
            mean = cv2.filter2D(ink, -1, kernel, anchor=place, borderType=cv2.BORDER_CONSTANT)
            np.maximum(upright, mean, out=upright)
    beside = 2 * max(1, round(BESIDE_MM * px_per_mm.x)) + 1
    stroke = cv2.dilate(upright, np.ones((1, beside), np.uint8))
    inked = ink > FAINTEST
    faint = inked & (upright > UPRIGHT * along) & (stroke > STROKE[0]) & (stroke < STROKE[1])
    least = LEAST_SHARE * int(np.count_nonzero(inked))
    if np.count_nonzero(faint) <= least:
        return ink
    faint &= connected_to(inked, ink >= FULL)
    if np.count_nonzero(faint) <= least:
        return ink
    lifted: Float32[np.ndarray, "h w"] = ink.copy()
    lifted[faint] = np.minimum(ink[faint] / stroke[faint], 1.0)
    return lifted


def _line_down(length: int, slope: float) -> tuple[Float32[np.ndarray, "rows columns"], tuple[int, int]]:
    """Return a kernel that takes the mean along a line from a pixel down, and where that pixel is in it (x, y)."""
    down = np.arange(length + 1)
    across = np.round(down * slope).astype(int)
    kernel = np.zeros((length + 1, int(np.ptp(across)) + 1), np.float32)
    kernel[down, across - across.min()] = 1.0 / len(down)
    return kernel, (int(-across.min()), 0)
