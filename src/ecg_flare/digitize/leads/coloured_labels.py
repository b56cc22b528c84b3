"""Labels in another colour than the trace: grey, red or pale print, which has no part in the trace's ink.

Ink is what is dark in every channel, so that a red grid vanishes; a red label vanishes with it. It stands out of the
grid otherwise: it is darker than paper in some channel, and no straight line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ecg_flare.digitize.ink.probabilities import Probabilities
from ecg_flare.digitize.leads.labels import MIN_FIT, Word, along, read_words, readable_names, words_in
from ecg_flare.digitize.rectify.grid_lines import straight_line_darkness
from ecg_flare.digitize.rectify.light import grid_darkness, ink_darkness
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.units import PxPerMm

ENOUGH_NAMES: Final = 4
"""Different names read in the trace's own colour from which on no other colour is looked for (no I, II, III)."""

FIRST_COLUMN: Final = 0.25
"""Of the page's width: a single stroke beyond it is no "I"."""

LETTERS_PX_PER_MM: Final = 6.0
"""Resolution that letters are read at: a label of 3 mm has 18 pixels."""

COLOURED: Final = 0.3
"""Least darkness of a letter over its paper, the grid taken away: grey 130 has 0.5, the rest of a grid 0.1."""


def read_labels(
    image: UInt8[np.ndarray, "h w 3"],
    ink: Float32[np.ndarray, "h w"],
    probabilities: Probabilities,
    rows: Sequence[RowTrace],
    scale: PxPerMm,
) -> tuple[Word, ...]:
    """Return the words of a page as small as a lead's label: of the trace's ink, and of other colours if few are.

    `ink` is all ink of the trace's colour, print included, on the pixels of `image`.
    """
    words = read_words(ink, probabilities, rows, scale)
    if len(readable_names(words)) >= ENOUGH_NAMES:
        return words
    coloured = _coloured_words(image, rows, scale)
    fresh = [
        word for word in coloured if not any(_overlap(word, other) and _fits_as_well(other, word) for other in words)
    ]
    return (*(word for word in words if not any(_overlap(word, other) for other in fresh)), *fresh)


def _coloured_words(image: UInt8[np.ndarray, "h w 3"], rows: Sequence[RowTrace], scale: PxPerMm) -> tuple[Word, ...]:
    height, width = image.shape[:2]
    shrink = min(1.0, LETTERS_PX_PER_MM / scale.coarser)
    size = (round(width * shrink), round(height * shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    px_per_mm = scale.coarser * shrink
    # a coloured label is darkest in one channel, a pale grey one may be paler than the grid in all but the brightest
    colour = np.maximum(
        _off_grid(grid_darkness(small), px_per_mm), _off_grid(ink_darkness(small, px_per_mm), px_per_mm)
    )
    trace = cv2.resize(along(rows, (height, width)).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    lettering = np.where((colour > COLOURED) & ~trace, colour, np.float32(0)).astype(np.float32)
    factor = (size[0] / width, size[1] / height)
    words = words_in(lettering, scale.scaled(*factor), single_letters_to_px=FIRST_COLUMN * size[0])
    return tuple(word.enlarged(1 / factor[0], 1 / factor[1]) for word in words)


def _off_grid(dark: Float32[np.ndarray, "h w"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    grid = straight_line_darkness(dark, px_per_mm)
    left: Float32[np.ndarray, "h w"] = np.clip((dark - grid) / np.maximum(1.0 - grid, 0.15), 0.0, 1.0)
    return left


def _fits_as_well(word: Word, other: Word) -> bool:
    return float(word.fits.max()) >= min(MIN_FIT, float(other.fits.max()))


def _overlap(a: Word, b: Word) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
