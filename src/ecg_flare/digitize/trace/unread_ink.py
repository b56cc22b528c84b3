"""Ink of a trace that no line runs through: the rest of a peak that was cut off, or print taken for a trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64

from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.units import PxPerMm

MIN_INK: Final = 0.3
"""Of full ink: fainter pixels are a stroke's rim."""

RIM_PX: Final = 2.0
"""Above and below the ink that a line runs through."""

SHORTEST_MM: Final = 1.5
"""A lower piece is a speck."""

RUN_MM: Final = 0.8
"""Of ink in one column: less of it is no steep stroke, but a level line, a beat's base line among them."""


@dataclass(frozen=True)
class InkPiece:
    """A connected piece of ink that no line runs through: its box in pixels, `width_px` by `height_px`."""

    left_px: float
    top_px: float
    width_px: float
    height_px: float

    @property
    def is_upright(self) -> bool:
        """Whether it is higher than wide, as a steep stroke is."""
        return self.height_px > self.width_px


def unread_ink(ink: Float32[np.ndarray, "h w"], rows: Sequence[RowTrace], scale: PxPerMm) -> tuple[InkPiece, ...]:
    """Return the steep pieces of a page's trace ink, 0 to 1, SHORTEST_MM high or more, that no line explains.

    Level ink does not join them: the strokes of a beat that was left out count one by one, its base line does not.
    """
    y, x = np.nonzero(ink > MIN_INK)
    read = _is_read(y, x, rows)
    rest = np.zeros(ink.shape, np.uint8)
    rest[y[~read], x[~read]] = 1
    length = 2 * max(1, round(RUN_MM / 2 * scale.y)) + 1  # an even one would move the ink by a pixel
    steep = cv2.morphologyEx(rest, cv2.MORPH_OPEN, np.ones((length, 1), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(steep, connectivity=8)
    return tuple(
        InkPiece(*(float(value) for value in stats[number, : cv2.CC_STAT_HEIGHT + 1]))
        for number in range(1, count)
        if stats[number, cv2.CC_STAT_HEIGHT] >= SHORTEST_MM * scale.y
    )


def _is_read(
    y: Int64[np.ndarray, " pixels"], x: Int64[np.ndarray, " pixels"], rows: Sequence[RowTrace]
) -> Bool[np.ndarray, " pixels"]:
    """Return which pixels lie in the ink that a line runs through, or at its rim."""
    read = np.zeros(len(y), bool)
    for row in rows:
        read |= (y >= row.top[x] - RIM_PX) & (y <= row.bottom[x] + RIM_PX)
    return read
