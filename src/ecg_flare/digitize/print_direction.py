"""Which way up the print of a page stands: lines of letters lie along x or y, and letters fit their shapes one way up.

Any print will do, a header as much as a label: names of leads need not be read. Letters are pieces of ink of a letter's
size whose nearest neighbour is another one of about that size. Where the neighbours stand says along which axis the
lines run; which of the two ways along it is up, the letters' shapes say, compared with letters and digits of three
typefaces as they are and turned by half a circle. Letters that look alike both ways (o, x, H, 0) say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from string import ascii_letters, digits
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from ecg_flare.digitize.rectify.light import line_depth
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.lettering import Text, draw_texts

FINEST_PX_PER_MM: Final = 6.0
"""Print is looked at on a copy no finer than this."""

INK: Final = (0.35, 0.55)  # thresholds of the ink, as parts of the darkest
LETTER_MM: Final = (0.9, 6.0)  # the longer side of a letter
THINNEST_MM: Final = 0.25
NEAREST: Final = 0.7  # of the letters' size: farther letters are of another word
ALIKE: Final = 0.55  # the smaller of two neighbours over the larger
IN_LINE: Final = 0.5  # of the smaller one's side that two neighbours share
MIN_LETTERS: Final = 8
CLEAR_AXIS: Final = 3.0  # letters with a neighbour along one axis over those along the other
MOST_LETTERS: Final = 400
SIDE: Final = 14
RIM: Final = 3
READABLE: Final = 0.6  # correlation of a letter with the best template
CLEAR_WAY: Final = 4.0  # standard errors by which one way up fits better than the other
LEAST_LEAD: Final = 0.01  # and the mean of that, as correlation


@dataclass(frozen=True)
class PrintDirection:
    """What the print says of the way up.

    Attributes:
        quarter_turns: the turns of `numpy.rot90` that may stand the page upright; (0, 1, 2, 3) where there is no
            print to go by, two where only the lines' axis is clear, one where the letters say which end is up.
    """

    quarter_turns: tuple[int, ...]

    @property
    def settled(self) -> int | None:
        """The one turn that stands the print upright, None where it does not say."""
        return self.quarter_turns[0] if len(self.quarter_turns) == 1 else None


UNKNOWN: Final = PrintDirection((0, 1, 2, 3))


def read_direction(image: UInt8[np.ndarray, "h w 3"], px_per_mm: PxPerMm) -> PrintDirection:
    """Return which way up the print of a straight page stands; the page may lie on its side or its head."""
    shrink = min(1.0, FINEST_PX_PER_MM / px_per_mm.finer)
    small = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1.0 else image
    unit = px_per_mm.finer * shrink
    depth = line_depth(small, unit)
    darkest = float(np.quantile(depth[::2, ::2], 0.997))
    found = [_direction(depth, max(part * darkest, 0.1), unit) for part in INK]
    return min(found, key=lambda direction: len(direction.quarter_turns))


def _direction(depth: Float32[np.ndarray, "h w"], threshold: float, unit: float) -> PrintDirection:
    boxes = letter_boxes(depth > threshold, unit)
    along = neighbour_axes(boxes)
    counts = [int((along == axis).sum()) for axis in (0, 1)]
    axis = int(np.argmax(counts))
    if counts[axis] < MIN_LETTERS or counts[axis] < CLEAR_AXIS * counts[1 - axis]:
        return UNKNOWN
    turns = (0, 2) if axis == 0 else (1, 3)
    letters = _cut_out(depth, boxes[along == axis][:MOST_LETTERS], turns[0])
    lead = upright_lead(letters)
    if len(lead) >= MIN_LETTERS:
        error = float(lead.std() / np.sqrt(len(lead))) + 1e-6
        if abs(lead.mean()) > max(CLEAR_WAY * error, LEAST_LEAD):
            return PrintDirection((turns[0] if lead.mean() > 0 else turns[1],))
    return PrintDirection(turns)


def letter_boxes(ink: Bool[np.ndarray, "h w"], unit: float) -> Int64[np.ndarray, "n 4"]:
    """Return the boxes (left, top, right, bottom) of pieces of ink of a letter's size; `unit` is in px/mm."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    x, y, width, height = (stats[1:, k].astype(np.int64) for k in range(4))
    longer, shorter = np.maximum(width, height) / unit, np.minimum(width, height) / unit
    fits = (longer > LETTER_MM[0]) & (longer < LETTER_MM[1]) & (shorter > THINNEST_MM)
    boxes: Int64[np.ndarray, "n 4"] = np.stack([x, y, x + width, y + height], axis=1)[fits]
    return boxes


def neighbour_axes(boxes: Int64[np.ndarray, "n 4"]) -> Int64[np.ndarray, " n"]:
    """Return for each letter where its nearest neighbour stands: 0 along x, 1 along y, -1 where it has none."""
    result = np.full(len(boxes), -1, np.int64)
    if len(boxes) < 2:
        return result
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    size = (high - low).max(axis=1)
    order = np.argsort(low[:, 1], kind="stable")
    tops = low[order, 1]
    reach = (1.0 + NEAREST) * float(size.max())
    for at in range(len(boxes)):
        near = order[np.searchsorted(tops, low[at, 1] - reach) : np.searchsorted(tops, high[at, 1] + reach)]
        near = near[near != at]
        near = near[np.minimum(size[near], size[at]) >= ALIKE * np.maximum(size[near], size[at])]
        if not len(near):
            continue
        gaps = np.maximum(low[near] - high[at], low[at] - high[near])
        common = np.minimum(high[near], high[at]) - np.maximum(low[near], low[at])
        side = np.minimum(high[near] - low[near], high[at] - low[at])
        nearest = np.full(2, np.inf)
        for axis in (0, 1):
            in_line = (common[:, 1 - axis] >= IN_LINE * side[:, 1 - axis]) & (gaps[:, axis] >= 0)
            if in_line.any():
                nearest[axis] = gaps[in_line, axis].min()
        axis = int(nearest.argmin())
        if nearest[axis] < NEAREST * size[at] and nearest[0] != nearest[1]:
            result[at] = axis
    return result


def upright_lead(letters: Sequence[Float32[np.ndarray, "h w"]]) -> Float64[np.ndarray, " k"]:
    """Return by how much better each readable letter fits as it stands than turned by half a circle, as correlation."""
    if not letters:
        return np.zeros(0)
    templates = _templates()
    shapes = np.stack([_shape(letter) for letter in letters])
    standing, hanging = (shapes @ each.T for each in (templates, templates[:, ::-1]))
    best = np.maximum(standing.max(axis=1), hanging.max(axis=1))
    lead: Float64[np.ndarray, " k"] = (standing.max(axis=1) - hanging.max(axis=1))[best > READABLE].astype(np.float64)
    return lead


def _cut_out(
    depth: Float32[np.ndarray, "h w"], boxes: Int64[np.ndarray, "n 4"], quarter_turns: int
) -> list[Float32[np.ndarray, "a b"]]:
    cut = [depth[top:bottom, left:right] for left, top, right, bottom in boxes]
    return [np.ascontiguousarray(np.rot90(each, quarter_turns)) for each in cut]


def _shape(letter: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, " pixels"]:
    """Return a letter in a square of its own longer side, with paper around, as a vector of mean 0 and length 1.

    The square keeps the letter's width over its height, and `vector[::-1]` is the letter turned by half a circle.
    """
    height, width = letter.shape
    scale = SIDE / max(height, width)
    size = (max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2)))  # even, to stand in the middle
    small = cv2.resize(letter, size, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    framed = cv2.copyMakeBorder(
        small,
        RIM + top,
        RIM + SIDE - size[1] - top,
        RIM + left,
        RIM + SIDE - size[0] - left,
        cv2.BORDER_CONSTANT,
        value=0.0,
    )
    blurred = cv2.GaussianBlur(framed, (5, 5), 1.0).ravel()
    centred = blurred - blurred.mean()
    shape: Float32[np.ndarray, " pixels"] = centred / max(float(np.linalg.norm(centred)), 1e-4)
    return shape


@cache
def _templates() -> Float32[np.ndarray, "n pixels"]:
    """Return letters and digits in three typefaces, drawn large and cut out tightly."""
    shapes = []
    for character in ascii_letters + digits:
        for font in ("sans", "serif", "mono"):
            sheet = draw_texts([Text(character, 4.0, 12.0, 8.0)], font, (4.0, 4.0), (72, 72))[0]
            rows, columns = (np.flatnonzero((sheet > 64).any(axis=axis)) for axis in (1, 0))
            tight = sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / 255
            shapes.append(_shape(tight))
    return np.stack(shapes)
