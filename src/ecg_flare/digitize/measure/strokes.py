"""Upright strokes of a page's ink, and what two of them are together: a calibration pulse, or nothing.

The flat bar is what tells a pulse from a QRS complex; a bar at both ends is a frame, and one that runs on a grid line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool

from ecg_flare.digitize.measure.pulse import Pulse

_MIN_HEIGHT_MM, _MAX_HEIGHT_MM = 4.0, 24.0
_MIN_WIDTH_MM: Final = 1.2
_LEVEL_MM: Final = 0.7  # how far the two strokes' ends may differ
_MAX_STROKES: Final = 600


@dataclass(frozen=True)
class Stroke:
    """An upright stroke, in pixels: its centre line, and its first and last column and row."""

    x: float
    left: int
    right: int
    top: int
    bottom: int


def upright_strokes(ink: Bool[np.ndarray, "h w"], px_per_mm: float) -> list[Stroke]:
    """Upright strokes 4 to 24 mm high, sorted by x; none on a page of so many that none can be told from another."""
    mask = ink.astype(np.uint8)
    spread = max(1, round(0.12 * px_per_mm)) * 2 + 1
    thick = cv2.dilate(mask, np.ones((1, spread), np.uint8))  # a stroke that leans a little stays one
    length = max(5, round(0.8 * _MIN_HEIGHT_MM * px_per_mm))
    upright = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((length, 1), np.uint8))
    count, _, stats, centres = cv2.connectedComponentsWithStats(upright, connectivity=8)
    strokes = []
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label, :4])
        tall = _MIN_HEIGHT_MM * px_per_mm * 0.9 <= height <= _MAX_HEIGHT_MM * px_per_mm
        if tall and width <= max(1.3 * px_per_mm, 0.2 * height):
            strokes.append(Stroke(float(centres[label, 0]), left, left + width - 1, top, top + height - 1))
    if len(strokes) > _MAX_STROKES:  # a solid page of lines: nothing here can be told apart
        return []
    return sorted(strokes, key=lambda stroke: stroke.x)


def pulse_between(ink: Bool[np.ndarray, "h w"], left: Stroke, right: Stroke, px_per_mm: float) -> Pulse | None:
    """The pulse that two strokes make with a bar at one end; None for a frame, a grid line or a mere pair."""
    level = max(2.0, _LEVEL_MM * px_per_mm)
    width = right.x - left.x
    if width < _MIN_WIDTH_MM * px_per_mm:
        return None
    if abs(left.top - right.top) > level or abs(left.bottom - right.bottom) > level:
        return None
    height = (left.bottom + right.bottom - left.top - right.top) / 2
    if height < 0.4 * width:
        return None
    reach = max(2, round(0.45 * px_per_mm))
    inside = (left.right + 1, right.left)
    top = flat_bar(ink, inside, round((left.top + right.top) / 2), reach)
    bottom = flat_bar(ink, inside, round((left.bottom + right.bottom) / 2), reach)
    if _continues(ink, left, right, top if top is not None else bottom, px_per_mm):
        return None  # a grid line
    if top is not None and bottom is None:
        end = (left.bottom + right.bottom) / 2
        # Where no baseline is seen beside the strokes it ends as far below its middle as the bar begins above its own.
        foot = foot_beside(ink, left, right, end, px_per_mm) or end - (top - (left.top + right.top) / 2)
        return Pulse(left_px=left.x, right_px=right.x, bar_px=top, foot_px=foot)
    if bottom is not None and top is None:
        end = (left.top + right.top) / 2
        foot = foot_beside(ink, left, right, end, px_per_mm) or end + ((left.bottom + right.bottom) / 2 - bottom)
        return Pulse(left_px=left.x, right_px=right.x, bar_px=bottom, foot_px=foot)
    return None  # a frame, or a mere pair of strokes


def flat_bar(ink: Bool[np.ndarray, "h w"], columns: tuple[int, int], row: int, reach: int) -> float | None:
    """y of a flat line that fills the columns near a row; None when there is none."""
    first, last = columns
    if last - first < 2:
        return None
    top = max(0, row - reach)
    window = ink[top : row + reach + 1, first:last]
    filled = window.any(axis=0)
    if filled.mean() < 0.85:
        return None
    rows = window.mean(axis=1)
    if rows.max() < 0.6:  # filled, but by something slanting or round
        return None
    solid = rows >= 0.5
    return top + float(np.nonzero(solid)[0].mean())


def _continues(ink: Bool[np.ndarray, "h w"], left: Stroke, right: Stroke, bar: float | None, px_per_mm: float) -> bool:
    """Whether the bar runs on beyond its strokes on either side."""
    if bar is None:
        return False
    span = max(3, round(0.8 * px_per_mm))
    row = round(bar)
    beyond = (
        ink[row, max(0, left.left - 1 - span) : max(0, left.left - 1)],
        ink[row, right.right + 2 : right.right + 2 + span],
    )
    return any(part.size > 0 and float(part.mean()) > 0.6 for part in beyond)


def foot_beside(
    ink: Bool[np.ndarray, "h w"], left: Stroke, right: Stroke, end: float, px_per_mm: float
) -> float | None:
    """y of the baseline beside the pulse's open end, on either side; None where it is not seen."""
    reach, span = max(2, round(0.45 * px_per_mm)), max(3, round(0.6 * px_per_mm))
    for first, last in ((left.left - span, left.left), (right.right + 1, right.right + 1 + span)):
        level = flat_bar(ink, (max(0, first), min(ink.shape[1], last)), round(end), reach)
        if level is not None:
            return level
    return None
