"""The grid taken off by what it is: a pattern that repeats every 5 mm, lines or dots, whatever its colour.

What each place of a 5 mm square shows where nothing else is printed, averaged over the squares around, is the grid
there. A pixel that ink covers in part shows the ink by that part, and the grid by the rest.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from ecg_flare.digitize.units import PxPerMm

SQUARE_MM: Final = 5.0
REGION_SQUARES: Final = 8
"""Squares along each side of the area that a pattern is averaged over: light, paper and pitch are the same there."""

MIN_SAMPLES: Final = 6
"""Squares that must show a place without print; a place that fewer show keeps the mean of its region."""

DARKEST: Final = 0.7
"""A pattern is taken for no darker than this: full ink under it could not be told."""

_Shade = Float32[np.ndarray, "h w"]


def without_grid(shade: _Shade, bare: Bool[np.ndarray, "h w"], px_per_mm: PxPerMm) -> _Shade:
    """Return the share of ink of every pixel, as far as a pattern that repeats every 5 mm does not explain it.

    `shade` is 0 for bare paper and 1 for full ink, and grows with a grid's darkness; `bare` is where no trace or print
    is. Paper and grid come back around 0, full ink as 1.
    """
    grid = np.clip(repeated_grid(shade, bare, px_per_mm), 0.0, DARKEST)
    ink: _Shade = (shade - grid) / (1.0 - grid)
    return ink


def repeated_grid(shade: _Shade, bare: Bool[np.ndarray, "h w"], px_per_mm: PxPerMm) -> _Shade:
    """Return the pattern that repeats every 5 mm on the bare paper, at every pixel."""
    height, width = shade.shape
    cell = (max(3, round(SQUARE_MM * px_per_mm.x)), max(3, round(SQUARE_MM * px_per_mm.y)))
    stretch = (cell[0] / (SQUARE_MM * px_per_mm.x), cell[1] / (SQUARE_MM * px_per_mm.y))
    regions = tuple(
        int(np.ceil(side * factor / (REGION_SQUARES * each)))
        for side, factor, each in zip((width, height), stretch, cell, strict=True)
    )
    size = tuple(count * REGION_SQUARES * each for count, each in zip(regions, cell, strict=True))
    onto = np.array([[stretch[0], 0, (stretch[0] - 1) / 2], [0, stretch[1], (stretch[1] - 1) / 2]])
    known = cv2.warpAffine(bare.astype(np.float32), onto, size)
    weighted = cv2.warpAffine(np.where(bare, shade, np.float32(0.0)), onto, size)
    pattern = _means(weighted, known, cell, (regions[0], regions[1]))
    back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    grid: _Shade = cv2.warpAffine(pattern, onto, (width, height), flags=back, borderMode=cv2.BORDER_REPLICATE)
    return grid


def _means(weighted: _Shade, known: _Shade, cell: tuple[int, int], regions: tuple[int, int]) -> _Shade:
    """Return the mean of each place of the squares over the region that it lies in."""
    parts = (regions[1], REGION_SQUARES, cell[1], regions[0], REGION_SQUARES, cell[0])
    values, counts = (each.reshape(parts).sum(axis=(1, 4), keepdims=True) for each in (weighted, known))
    middle = values.sum(axis=(2, 5), keepdims=True) / np.maximum(counts.sum(axis=(2, 5), keepdims=True), 1.0)
    means = np.where(counts >= MIN_SAMPLES, values / np.maximum(counts, 1.0), middle)
    pattern: _Shade = np.broadcast_to(means, parts).reshape(weighted.shape).astype(np.float32)
    return pattern
