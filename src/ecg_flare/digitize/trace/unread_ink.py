"""Ink of a trace that no line runs through: the rest of a peak that was cut off, or print taken for a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.units import PxPerMm

MIN_INK: Final = 0.3
"""Of full ink: fainter pixels are a stroke's rim."""

RIM_PX: Final = 2.0
"""Above and below the ink that a line runs through."""

SHORTEST_MM: Final = 1.5
"""A lower piece is a speck."""

RUN_MM: Final = 0.8
"""Of ink in one column or one line: less of it is no steep stroke, or no level stretch."""

LONGEST_LETTER_MM: Final = 2.0
"""A shorter level piece is a stroke of print."""

THICKEST_MM: Final = 1.5
"""A level piece that is higher is no line."""


@dataclass(frozen=True)
class InkPiece:
    """A connected piece of ink that no line runs through: its box in pixels, `width_px` by `height_px`."""

    left_px: float
    top_px: float
    width_px: float
    height_px: float

    @property
    def middle_px(self) -> tuple[float, float]:
        """Its middle: x, then y."""
        return self.left_px + self.width_px / 2, self.top_px + self.height_px / 2

    @property
    def is_upright(self) -> bool:
        """Whether it is higher than wide, as a steep stroke is."""
        return self.height_px > self.width_px


@dataclass(frozen=True)
class UnreadInk:
    """Ink of a trace that no line runs through: `steep` strokes, and `level` stretches, a line's thickness high."""

    steep: tuple[InkPiece, ...] = ()
    level: tuple[InkPiece, ...] = ()


def unread_ink(ink: Float32[np.ndarray, "h w"], rows: Sequence[RowTrace], scale: PxPerMm) -> UnreadInk:
    """Return the pieces of a page's trace ink, 0 to 1, that no line explains.

    Steep ones are SHORTEST_MM high or more, level ones LONGEST_LETTER_MM long or more. Neither joins the other: the
    strokes of a beat that was left out count one by one, its base line by itself.
    """
    y, x = np.nonzero(ink > MIN_INK)
    read = _is_read(y, x, rows)
    rest = np.zeros(ink.shape, np.uint8)
    rest[y[~read], x[~read]] = 1
    steep = _pieces(rest, (_odd(RUN_MM * scale.y), 1))
    level = _pieces(rest, (1, _odd(RUN_MM * scale.x)))
    return UnreadInk(
        tuple(piece for piece in steep if piece.height_px >= SHORTEST_MM * scale.y),
        tuple(
            piece
            for piece in level
            if piece.width_px >= LONGEST_LETTER_MM * scale.x and piece.height_px <= THICKEST_MM * scale.y
        ),
    )


def _odd(length_px: float) -> int:
    return 2 * max(1, round(length_px / 2)) + 1  # an even kernel would move the ink by a pixel


def _pieces(rest: UInt8[np.ndarray, "h w"], kernel: tuple[int, int]) -> Iterator[InkPiece]:
    """Yield the connected pieces of what the kernel, (height, width), fits into."""
    opened = cv2.morphologyEx(rest, cv2.MORPH_OPEN, np.ones(kernel, np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    for number in range(1, count):
        yield InkPiece(*(float(value) for value in stats[number, : cv2.CC_STAT_HEIGHT + 1]))


def _is_read(
    y: Int64[np.ndarray, " pixels"], x: Int64[np.ndarray, " pixels"], rows: Sequence[RowTrace]
) -> Bool[np.ndarray, " pixels"]:
    """Return which pixels lie in the ink that a line runs through, or at its rim."""
    read = np.zeros(len(y), bool)
    for row in rows:
        read |= (y >= row.top[x] - RIM_PX) & (y <= row.bottom[x] + RIM_PX)
    return read
