"""What the ink is that no confirmed line explains: print, something that nobody can say, or nothing that matters.

| ink | what it is |
|---|---|
| hangs together with a line, but lies off it | unknown: a letter on the line, or a part of it that the reading missed |
| apart from lines, in the size of letters | print, word by word in upright boxes, as rendered pages have it |
| specks, pen strokes, stains, edges of the sheet | paper |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool

from ecg_flare.digitize.ink.pieces import connected_to
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM

TOUCHES_MM: Final = 0.5
"""Ink that comes this near to a line's hangs together with it."""

SPECK_MM: Final = 1.0
"""Neither higher nor wider: dirt, or the dot of an i that stands in its word's box anyway."""

LETTER_MM: Final = (7.0, 12.0)
"""The greatest height and width of a letter, or of a few that run into each other."""

WORD_MM: Final = 1.2
"""The least height of a word: lower is a piece of a line that nobody read, or the edge of a sheet."""

WORD_GAP_MM: Final = (0.5, 2.5)
"""Letters this near, down and along, are one word."""

Pixels = Bool[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class UnexplainedInk:
    """Of a page at NORMALIZED_PX_PER_MM: which pixels are print, and of which nobody can say what they are."""

    printed: Pixels
    unknown: Pixels


def sort_ink(ink: Pixels, lines: Pixels) -> UnexplainedInk:
    """Sort a page's ink by the lines that are known on it; `lines` are their pixels, as wide as they are drawn."""
    touching = _reached(lines, ink, round(TOUCHES_MM * NORMALIZED_PX_PER_MM))
    letters = np.zeros_like(ink)
    for part, pixels in _parts(ink & ~touching):
        if not _is_speck(part) and _is_letter(part, ink.shape):
            letters[part] |= pixels
    return UnexplainedInk(_boxed(letters), touching & ~lines)


def _reached(lines: Pixels, ink: Pixels, reach_px: int) -> Pixels:
    """Return the ink of all strokes that come within reach of the lines."""
    near = cv2.dilate(lines.astype(np.uint8), np.ones((2 * reach_px + 1,) * 2, np.uint8)) > 0
    return connected_to(ink, near)


def _parts(ink: Pixels) -> Iterator[tuple[tuple[slice, slice], Pixels]]:
    """Yield the strokes of ink: where each stands, and its pixels there."""
    count, strokes, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    for number in range(1, count):
        left, top, width, height = stats[number, : cv2.CC_STAT_AREA]
        at = slice(top, top + height), slice(left, left + width)
        yield at, strokes[at] == number


def _size(part: tuple[slice, slice]) -> tuple[int, int]:
    return part[0].stop - part[0].start, part[1].stop - part[1].start


def _is_speck(part: tuple[slice, slice]) -> bool:
    return max(_size(part)) <= SPECK_MM * NORMALIZED_PX_PER_MM


def _is_letter(part: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
    (height, width), (highest, widest) = _size(part), (each * NORMALIZED_PX_PER_MM for each in LETTER_MM)
    inside = min(part[0].start, part[1].start) > 0 and part[0].stop < shape[0] and part[1].stop < shape[1]
    return inside and height <= highest and width <= widest


def _boxed(letters: Pixels) -> Pixels:
    """Return the upright boxes of words."""
    down, along = (round(each * NORMALIZED_PX_PER_MM) for each in WORD_GAP_MM)
    words = cv2.morphologyEx(letters.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((down + 1, along + 1), np.uint8))
    boxes = np.zeros_like(letters)
    for (rows, columns), _ in _parts(words > 0):
        if rows.stop - rows.start >= WORD_MM * NORMALIZED_PX_PER_MM:
            boxes[rows, columns] = True
    return boxes
