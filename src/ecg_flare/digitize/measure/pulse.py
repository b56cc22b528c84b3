"""Calibration pulses: the rectangles, 1 mV high, that most machines print at the start or the end of a row.

A pulse is two upright strokes of equal height joined by a flat bar at one end and open at the other. The bar is at the
top: a page whose pulses hang from their bar is upside down. The flat bar is what tells a pulse from a QRS complex.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from ecg_flare.digitize.rectify.light import brightest_channel

_MIN_HEIGHT_MM, _MAX_HEIGHT_MM = 4.0, 24.0
_MIN_WIDTH_MM, _MAX_WIDTH_MM = 1.2, 12.0
_COLUMN_MM = 2.5  # the pulses of a page stand in one column, give or take curved paper
_CLEAR_MM = (3.5, 30.0)  # beside a pulse, outwards, there is nothing from here to there
_MAX_CLUTTER = 0.2
_FINEST_PX_PER_MM = 5.0  # finer pictures are shrunk before pulses are sought
_LEVEL_MM = 0.7  # how far the two strokes' ends may differ
_MAX_STROKES = 600
_INK_LEVELS = (0.38, 0.62)  # thresholds of the ink, as parts of the darkest


@dataclass(frozen=True)
class Pulse:
    """One calibration pulse.

    Attributes:
        left_px, right_px: the strokes' centres.
        bar_px: y of the bar's centre line.
        foot_px: y of the baseline's centre line; below the bar on an upright page.
    """

    left_px: float
    right_px: float
    bar_px: float
    foot_px: float

    @property
    def upright(self) -> bool:
        """Whether the pulse stands up from its baseline."""
        return self.foot_px > self.bar_px

    @property
    def height_px(self) -> float:
        """From the baseline's centre line to the bar's."""
        return abs(self.foot_px - self.bar_px)

    @property
    def width_px(self) -> float:
        """From one stroke's centre line to the other's."""
        return self.right_px - self.left_px

    def enlarged(self, factor: float) -> "Pulse":
        """The same pulse on a picture that is `factor` times as large."""
        edges = (self.left_px, self.right_px, self.bar_px, self.foot_px)
        return Pulse(*(factor * (edge + 0.5) - 0.5 for edge in edges))

    def turned_over(self, width: int, height: int) -> "Pulse":
        """The same pulse on a picture turned by half a circle."""
        return Pulse(
            width - 1 - self.right_px, width - 1 - self.left_px, height - 1 - self.bar_px, height - 1 - self.foot_px
        )


@dataclass(frozen=True)
class _Stroke:
    x: float
    left: int
    right: int
    top: int
    bottom: int


def find_pulses(image: UInt8[np.ndarray, "h w 3"], px_per_mm: float) -> tuple[Pulse, ...]:
    """Calibration pulses of an upright or upside-down page, from left to right, of the commonest shape alone.

    Args:
        image: the page.
        px_per_mm: scale, which may be off by a third: pulses from 4 to 24 mm high and 1.2 to 12 mm wide are found.
    """
    shrink = max(1, int(px_per_mm / _FINEST_PX_PER_MM))
    if shrink > 1:
        found = find_pulses(
            cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA), px_per_mm / shrink
        )
        return tuple(pulse.enlarged(shrink) for pulse in found)
    depth = line_depth(image, px_per_mm)
    darkest = float(np.quantile(depth[::2, ::2], 0.997))
    best: tuple[Pulse, ...] = ()
    for part in _INK_LEVELS:  # a dark grid hides pulses at a low level, faint ink is lost at a high one
        found = pulses_in(depth > max(part * darkest, 0.1), px_per_mm)
        if len(found) > len(best):
            best = found
    return best


def line_depth(image: UInt8[np.ndarray, "h w 3"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    """How much darker than their surroundings thin lines are, 0 to 1, in the channel where they are brightest.

    A coloured grid is bright in one channel; black ink is dark in all.
    """
    brightest = cv2.GaussianBlur(brightest_channel(image), (3, 3), 0.6)
    side = 2 * max(2, round(px_per_mm)) + 1
    around = cv2.morphologyEx(brightest, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)).astype(np.float32)
    depth: Float32[np.ndarray, "h w"] = (around - brightest) / np.maximum(around, np.float32(24.0))
    return depth


def pulses_in(ink: Bool[np.ndarray, "h w"], px_per_mm: float) -> tuple[Pulse, ...]:
    """Calibration pulses among dark pixels; the rest as in find_pulses."""
    strokes = _strokes(ink, px_per_mm)
    found = []
    for index, left in enumerate(strokes):
        for right in strokes[index + 1 :]:
            if right.x - left.x > _MAX_WIDTH_MM * px_per_mm:
                break
            pulse = _pulse(ink, left, right, px_per_mm)
            if pulse is not None and _outermost(ink, pulse, px_per_mm):
                found.append(pulse)
    return _column(found, px_per_mm)


def _strokes(ink: Bool[np.ndarray, "h w"], px_per_mm: float) -> list[_Stroke]:
    """Upright strokes, sorted by x."""
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
            strokes.append(_Stroke(float(centres[label, 0]), left, left + width - 1, top, top + height - 1))
    if len(strokes) > _MAX_STROKES:  # a solid page of lines: nothing here can be told apart
        return []
    return sorted(strokes, key=lambda stroke: stroke.x)


def _pulse(ink: Bool[np.ndarray, "h w"], left: _Stroke, right: _Stroke, px_per_mm: float) -> Pulse | None:
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
    top = _bar(ink, inside, round((left.top + right.top) / 2), reach)
    bottom = _bar(ink, inside, round((left.bottom + right.bottom) / 2), reach)
    if _continues(ink, left, right, top if top is not None else bottom, px_per_mm):
        return None  # a grid line
    if top is not None and bottom is None:
        end = (left.bottom + right.bottom) / 2
        # Where no baseline is seen beside the strokes it ends as far below its middle as the bar begins above its own.
        foot = _foot(ink, left, right, end, px_per_mm) or end - (top - (left.top + right.top) / 2)
        return Pulse(left_px=left.x, right_px=right.x, bar_px=top, foot_px=foot)
    if bottom is not None and top is None:
        end = (left.top + right.top) / 2
        foot = _foot(ink, left, right, end, px_per_mm) or end + ((left.bottom + right.bottom) / 2 - bottom)
        return Pulse(left_px=left.x, right_px=right.x, bar_px=bottom, foot_px=foot)
    return None  # a frame, or a mere pair of strokes


def _bar(ink: Bool[np.ndarray, "h w"], columns: tuple[int, int], row: int, reach: int) -> float | None:
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


def _foot(ink: Bool[np.ndarray, "h w"], left: _Stroke, right: _Stroke, end: float, px_per_mm: float) -> float | None:
    """y of the baseline beside the pulse's open end, on either side; None where it is not seen."""
    reach, span = max(2, round(0.45 * px_per_mm)), max(3, round(0.6 * px_per_mm))
    for first, last in ((left.left - span, left.left), (right.right + 1, right.right + 1 + span)):
        level = _bar(ink, (max(0, first), min(ink.shape[1], last)), round(end), reach)
        if level is not None:
            return level
    return None


def _continues(
    ink: Bool[np.ndarray, "h w"], left: _Stroke, right: _Stroke, bar: float | None, px_per_mm: float
) -> bool:
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


def _outermost(ink: Bool[np.ndarray, "h w"], pulse: Pulse, px_per_mm: float) -> bool:
    """Whether nothing is printed beside the pulse on one of its sides: a beat with a flat top has trace on both."""
    top, bottom = sorted((pulse.bar_px, pulse.foot_px))
    rows = slice(max(0, int(top)), int(bottom + 0.5 * px_per_mm) + 1)
    near, far = (round(edge * px_per_mm) for edge in _CLEAR_MM)
    left, right = round(pulse.left_px), round(pulse.right_px)
    sides = (ink[rows, max(0, left - far) : max(0, left - near)], ink[rows, right + near : right + far])
    return any(side.size == 0 or float(side.any(axis=0).mean()) <= _MAX_CLUTTER for side in sides)


def _column(pulses: list[Pulse], px_per_mm: float) -> tuple[Pulse, ...]:
    """The largest set of pulses of one shape that stand in one column, from the top down."""
    best: list[Pulse] = []
    for model in pulses:
        alike = [
            pulse
            for pulse in pulses
            if pulse.upright == model.upright
            and abs(pulse.left_px - model.left_px) <= _COLUMN_MM * px_per_mm
            and abs(pulse.height_px - model.height_px) <= 0.06 * model.height_px
            and abs(pulse.width_px - model.width_px) <= 0.15 * model.width_px
        ]
        if len(alike) > len(best):
            best = alike
    return tuple(sorted(best, key=lambda pulse: pulse.foot_px))
