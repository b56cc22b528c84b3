"""Strokes of another ink than the traces': what a person wrote on a page in colour.

A stroke's hue is how dark it is in each channel, over the darkest of them: black is (1, 1, 1), a blue pen (1, 0.9,
0.5), whatever share of the pixel is ink, once the colour of the grid under it is taken off. A trace has one hue all
along. What is of another hue, long and thick enough, is a pen's stroke. Residues of a coloured grid and the rims of a
trace that lies on it are short. A pen of the traces' own hue is ink like theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from ecg_flare.digitize.ink.pieces import connected_to
from ecg_flare.digitize.ink.repeated_grid import without_grid
from ecg_flare.digitize.ink.uncovered import uncovered
from ecg_flare.digitize.units import PxPerMm

SAMPLES: Final = 20_000
"""Pixels that the traces' hue is taken from, or twice as many."""

INKED: Final = 0.3
"""Share of ink from which on a pixel belongs to a stroke."""

OTHER_HUE: Final = 0.2
"""Distance from the traces' hue: a green pen has 0.35 from black, a blue one 0.3 from a blue trace; paper's noise and
chroma of half resolution stay below in most pixels."""

SHORTEST_MM: Final = 4.0
"""Of a stroke: what is left of a dotted grid reaches 6 mm, but is thin."""

WIDEST_MM: Final = 60.0
"""Of a stroke: a wider one is a lead that is drawn in another colour than others, or the edge of the paper."""

MOST: Final = 0.45
"""Of the traces' ink: more of another hue are leads of several colours."""

THINNEST_MM: Final = 0.25
"""Area over length of a stroke."""

DARK: Final = 0.8
"""Least darkness of a stroke in its darkest channel, over that of the traces: a grid is paler."""

PAPER_MM: Final = 1.0
"""Around a stroke: its own paper is seen there."""

RIM_MM: Final = 0.12
"""Around a stroke: blurred with paper or trace, of no sure hue."""

FULL_STROKE: Final = 90.0
"""Percentile of a stroke's darkness that is its full ink."""

CROSSED: Final = 0.1
"""Darker than a stroke in its brightest channel, as a share of the paper's light: a trace's pixel."""


def without_other_inks(
    trace: Float32[np.ndarray, "h w"],
    even: Float32[np.ndarray, "h w 3"],
    bare: Bool[np.ndarray, "h w"],
    scale: PxPerMm,
) -> Float32[np.ndarray, "h w"]:
    """Return the traces' ink, 0 to 1, without strokes of another hue; the same array where there are none.

    `even` is the page over its paper's colour (`light.over_paper`), `bare` where no trace or print is, `scale` that of
    all. Where such a stroke lies over a trace, the trace's ink on both sides of it is joined.
    """
    other = _of_other_hue(trace, even, scale)
    if not len(other.at):
        return trace
    bared = _grid_taken_off(even, bare, scale)
    seen_bared = _of_other_hue(trace, bared, scale)
    both = np.isin(other.at, seen_bared.at)
    strokes = np.zeros(trace.shape, np.uint8)
    for box, piece in _long_pieces(other.at[both], other.dark[both], trace.shape, scale):
        if all(
            _distance(_hue_on_its_paper(page, box, piece, scale), usual) > OTHER_HUE
            for page, usual in ((even, other.usual), (bared, seen_bared.usual))
        ):
            strokes[box] |= piece
    if not strokes.any():
        return trace
    rim = 2 * max(1, round(RIM_MM * scale.finer)) + 1
    strokes = cv2.dilate(strokes, np.ones((rim, rim), np.uint8))
    strokes[_crossings(trace, even, strokes)] = 0
    return uncovered(trace, strokes, scale)


@dataclass(frozen=True, eq=False)
class _Other:
    """Pixels of another hue than the usual one, and how dark each is in its darkest channel, 1 as the traces are."""

    at: Int64[np.ndarray, " k"]
    dark: Float32[np.ndarray, " k"]
    usual: Float32[np.ndarray, " 3"]


def _of_other_hue(trace: Float32[np.ndarray, "h w"], even: Float32[np.ndarray, "h w 3"], scale: PxPerMm) -> _Other:
    """Return the inked pixels of another hue than the traces'; none, if these are too few or too many for a pen's."""
    at = np.flatnonzero(trace > INKED)
    hue, darkest = _hue(even.reshape(-1, 3)[at])
    if not len(at):
        return _Other(at, darkest, np.ones(3, np.float32))
    usual = np.median(hue[:: 1 + len(hue) // SAMPLES], axis=0)
    other = _distance(hue, usual) > OTHER_HUE
    darkest /= np.median(darkest)
    dark_enough = np.count_nonzero(other & (darkest > DARK))
    if not SHORTEST_MM * THINNEST_MM * scale.x * scale.y <= dark_enough <= MOST * len(at):
        other[:] = False
    return _Other(at[other], darkest[other], usual)


def _grid_taken_off(
    even: Float32[np.ndarray, "h w 3"], bare: Bool[np.ndarray, "h w"], scale: PxPerMm
) -> Float32[np.ndarray, "h w 3"]:
    """Return the page without the grid's own colour, if what ink leaves of the paper's light has that colour, too.

    That holds for ink on a share of a pixel, and for ink that light goes through. Thick ink hides the grid, and is
    taken as it is: a pen is of another hue than the traces either way.
    """
    dark = 1.0 - even
    return 1.0 - np.stack([without_grid(dark[..., channel], bare, scale) for channel in range(3)], axis=-1)


def _hue(even: Float32[np.ndarray, "n 3"]) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, " n"]]:
    """Return each pixel's hue, and how dark it is in its darkest channel."""
    dark = np.clip(1.0 - even, 0.0, 1.0)
    darkest = np.maximum(np.maximum(dark[:, 0], dark[:, 1]), np.maximum(dark[:, 2], np.float32(1e-3)))
    return dark / darkest[:, None], darkest


def _distance(hue: Float32[np.ndarray, "n 3"], other: Float32[np.ndarray, " 3"]) -> Float32[np.ndarray, " n"]:
    distance: Float32[np.ndarray, " n"] = np.sqrt(((hue - other) ** 2).sum(axis=1))
    return distance


def _long_pieces(
    at: Int64[np.ndarray, " k"], dark: Float32[np.ndarray, " k"], shape: tuple[int, int], scale: PxPerMm
) -> Iterator[tuple[tuple[slice, slice], UInt8[np.ndarray, "bh bw"]]]:
    """Yield box and pixels (1 on 0) of the pieces that are long, thick and dark enough for a pen's stroke.

    `dark` is how dark each pixel is in its darkest channel, 1 as the traces are.
    """
    pixels = np.zeros(shape, np.uint8)
    pixels.ravel()[at] = 1
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    length_mm = np.maximum(stats[:, cv2.CC_STAT_WIDTH] / scale.x, stats[:, cv2.CC_STAT_HEIGHT] / scale.y)
    area = stats[:, cv2.CC_STAT_AREA]
    kept = (length_mm >= SHORTEST_MM) & (area / (scale.x * scale.y) >= THINNEST_MM * length_mm)
    kept &= stats[:, cv2.CC_STAT_WIDTH] <= WIDEST_MM * scale.x
    kept &= np.bincount(pieces.ravel()[at], dark, count) >= DARK * area
    for number in np.flatnonzero(kept[1:]) + 1:
        left, top, width, height = stats[number, : cv2.CC_STAT_HEIGHT + 1]
        box = np.s_[top : top + height, left : left + width]
        yield box, (pieces[box] == number).astype(np.uint8)


def _hue_on_its_paper(
    even: Float32[np.ndarray, "h w 3"], box: tuple[slice, slice], piece: UInt8[np.ndarray, "bh bw"], scale: PxPerMm
) -> Float32[np.ndarray, "1 3"]:
    """Return a piece's hue against what is beside it, up to PAPER_MM: on a stain, a trace has the stain's hue, too."""
    reach = round(PAPER_MM * scale.finer) + 1
    top, left = max(0, box[0].start - reach), max(0, box[1].start - reach)
    around = even[top : box[0].stop + reach, left : box[1].stop + reach]
    inside = np.zeros(around.shape[:2], np.uint8)
    height, width = piece.shape
    inside[box[0].start - top :, box[1].start - left :][:height, :width] = piece
    beside = cv2.dilate(inside, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    beside &= ~cv2.dilate(inside, np.ones((5, 5), np.uint8))
    paper = np.median(around[beside > 0], axis=0) if beside.any() else np.ones(3, np.float32)
    hue, _ = _hue(1.0 - (paper - around[inside > 0].mean(axis=0))[None])
    return hue


def _crossings(
    trace: Float32[np.ndarray, "h w"], even: Float32[np.ndarray, "h w 3"], strokes: UInt8[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Return where strokes are darker than themselves, beside a trace: the trace shows through them."""
    inside = strokes > 0
    dark = 1.0 - even[inside].max(axis=1)
    darker = np.zeros(strokes.shape, np.uint8)
    darker[inside] = dark > np.percentile(dark, FULL_STROKE) + CROSSED
    beside = cv2.dilate(((trace > INKED) & ~inside).astype(np.uint8), np.ones((3, 3), np.uint8))
    return connected_to(darker > 0, beside > 0)
