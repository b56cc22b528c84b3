"""Black lines of a grid taken off a picture of black and white alone, and its screens of dots made grey again.

There neither colour nor darkness tells a trace from the grid. What does is that a line of the grid is straight, long
and thin: where nothing crosses it, ink is no higher there than the line is anywhere (as staff lines are taken off
scanned music; Dalitz et al. 2008, IEEE TPAMI 30:753).
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8

from ecg_flare.digitize.units import PxPerMm

BLACK: Final = 128
"""Greys below this are ink."""

LINE_MM: Final = 25.0  # a run this long is ruled: between two beats a trace rests for less
THICKEST_MM: Final = 0.45  # of a line; traces are no thinner where a machine of 98 lines an inch repeats its lines
SWAY_MM: Final = 0.6  # of a line that steps from one row of pixels to the next, as a page that is not quite straight
RESTING: Final = 0.25
"""Of a line's length, ink that is higher than the line, and more than on most lines of the page: a trace rests on it
there, and is left with it. Strokes that cross it take less, and what makes all lines ragged is no trace."""

RESTING_MM: Final = 8.0
DASH_PX: Final = 5  # gaps of dots that make a line
SPECK_MM: Final = 0.5  # dots of a screen, and what is left of lines
BLUR_PX: Final = 0.8  # joins the dots of a screen to a stroke


def without_ruled_lines(image: UInt8[np.ndarray, "h w 3"], px_per_mm: PxPerMm) -> UInt8[np.ndarray, "h w 3"]:
    """Return a straight page of black and white without its ruled lines and specks, slightly blurred, in grey.

    Where a trace rests on a line it keeps the line's ink.
    """
    ink = image.max(axis=2) < BLACK
    upright = np.ascontiguousarray(ink.T)
    ruled = _level_lines(ink, px_per_mm) | _level_lines(upright, PxPerMm(px_per_mm.y, px_per_mm.x)).T
    kept = _without_specks(ink & ~ruled, px_per_mm)
    grey = cv2.GaussianBlur(np.where(kept, 0, 255).astype(np.uint8), (0, 0), BLUR_PX)
    bare: UInt8[np.ndarray, "h w 3"] = cv2.merge([grey, grey, grey])
    return bare


def _level_lines(ink: Bool[np.ndarray, "h w"], px_per_mm: PxPerMm) -> Bool[np.ndarray, "h w"]:
    """Return the ink of long level lines, but where it is higher than the line."""
    dashes, length = np.ones((1, DASH_PX), np.uint8), np.ones((1, round(LINE_MM * px_per_mm.x)), np.uint8)
    joined = cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_CLOSE, dashes)
    count, lines, stats, _ = cv2.connectedComponentsWithStats(
        cv2.morphologyEx(joined, cv2.MORPH_OPEN, length), connectivity=8
    )
    heights = _heights(ink)
    found = []
    for line in range(1, count):
        left, top, width, height = stats[line, :4]
        place = np.s_[top : top + height, left : left + width]
        of_line = (lines[place] == line) & ink[place]
        usual = float(np.median(heights[place][of_line]))
        if height <= SWAY_MM * px_per_mm.y and usual <= THICKEST_MM * px_per_mm.y:
            higher = of_line & (heights[place] > usual)
            found.append((place, of_line, higher, _share_along(higher, of_line, round(RESTING_MM * px_per_mm.x))))
    ruled = np.zeros_like(ink)
    ragged = float(np.median([share.mean() for *_, share in found])) if found else 0.0
    for place, of_line, higher, share in found:
        ruled[place] |= of_line & ~higher & ~(share > ragged + RESTING)
    return ruled


def _share_along(
    part: Bool[np.ndarray, "h w"], whole: Bool[np.ndarray, "h w"], length_px: int
) -> Float64[np.ndarray, " w"]:
    """Return for each column which share of the columns around that hold some of `whole` hold some of `part`."""
    window = np.ones(max(1, length_px))
    parts, all_of_it = (np.convolve(each.any(axis=0), window, "same") for each in (part, whole))
    share: Float64[np.ndarray, " w"] = parts / np.maximum(all_of_it, 1.0)
    return share


def _heights(ink: Bool[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
    """Return for each pixel of ink how many pixels of ink stand above and below it without a break, itself included."""
    heights = np.zeros(ink.shape, np.int32)
    for row in range(len(ink)):
        heights[row] = np.where(ink[row], heights[row - 1] + 1 if row else 1, 0)
    for row in range(len(ink) - 2, -1, -1):
        heights[row] = np.where(ink[row] & ink[row + 1], heights[row + 1], heights[row])
    return heights


def _without_specks(ink: Bool[np.ndarray, "h w"], px_per_mm: PxPerMm) -> Bool[np.ndarray, "h w"]:
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    kept = np.ones(count, bool)
    kept[1:] = (stats[1:, cv2.CC_STAT_WIDTH] >= SPECK_MM * px_per_mm.x) | (
        stats[1:, cv2.CC_STAT_HEIGHT] >= SPECK_MM * px_per_mm.y
    )
    kept[0] = False
    return np.asarray(kept[pieces])
