"""The calibration pulses of a page: pairs of strokes of one shape, one below the other in every column that has them.

A column is known by the empty paper on one side of it, or by three rows that have it. What has its shape elsewhere, one
below the other, is a column, too: many machines print a pulse before each lead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from ecg_flare.digitize.measure.pulse import HEIGHT_SPREAD, Pulse, usual_gain
from ecg_flare.digitize.measure.stepped import stepped_pulses
from ecg_flare.digitize.measure.strokes import Stroke, pulse_between, upright_strokes
from ecg_flare.digitize.rectify.light import line_depth

_MAX_WIDTH_MM: Final = 12.0
_COLUMN_MM: Final = 2.5  # the pulses of a column stand one below the other, give or take curved paper
_WIDTH_SPREAD: Final = 0.15  # by which share the widths of a page's pulses differ
_MIN_CROWDED: Final = 3  # rows from which on pulses need no empty side: few beats are alike in so many
_CUT_MM: Final = 0.7  # how far the strokes of a cut pulse stand from its column's
_CLEAR_MM: Final = (3.5, 30.0)  # beside a pulse, outwards, there is nothing from here to there
_MAX_CLUTTER: Final = 0.2
_FINEST_PX_PER_MM: Final = 5.0  # finer pictures are shrunk before pulses are sought
_INK_LEVELS: Final = (0.38, 0.62)  # thresholds of the ink, as parts of the darkest


def find_pulses(image: UInt8[np.ndarray, "h w 3"], px_per_mm: float, *, crowded: bool = True) -> tuple[Pulse, ...]:
    """Calibration pulses of an upright or upside-down page, from the top down: all of one width and standing one way.

    Their heights are one, or one and its half where leads have different gains.

    Args:
        image: the page.
        px_per_mm: scale, which may be off by a third: pulses from 4 to 24 mm high and 1.2 to 12 mm wide are found.
        crowded: whether pulses of a usual height may have print on both sides. Only where the scale is sure: on a page
            of text at any scale some letters would do.
    """
    shrink = max(1, int(px_per_mm / _FINEST_PX_PER_MM))
    if shrink > 1:
        small = cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        found = find_pulses(small, px_per_mm / shrink, crowded=crowded)
        return tuple(pulse.enlarged(shrink) for pulse in found)
    depth = line_depth(image, px_per_mm)
    darkest = float(np.quantile(depth[::2, ::2], 0.997))
    best: tuple[Pulse, ...] = ()
    for part in _INK_LEVELS:  # a dark grid hides pulses at a low level, faint ink is lost at a high one
        found = pulses_in(depth > max(part * darkest, 0.1), px_per_mm, crowded=crowded)
        if len(found) > len(best):
            best = found
    return best


def pulses_in(ink: Bool[np.ndarray, "h w"], px_per_mm: float, *, crowded: bool = True) -> tuple[Pulse, ...]:
    """Calibration pulses among dark pixels; the rest as in find_pulses."""
    strokes = upright_strokes(ink, px_per_mm)
    found = []
    for index, left in enumerate(strokes):
        for right in strokes[index + 1 :]:
            if right.x - left.x > _MAX_WIDTH_MM * px_per_mm:
                break
            pulse = pulse_between(ink, left, right, px_per_mm)
            if pulse is not None:
                found.append(pulse)
    found += stepped_pulses(ink, strokes, _MAX_WIDTH_MM * px_per_mm, px_per_mm)
    first = _column([pulse for pulse in found if _outermost(ink, pulse, px_per_mm)], px_per_mm)
    if crowded and len(first) < _MIN_CROWDED:
        usual = [pulse for pulse in found if usual_gain(pulse.height_px / px_per_mm) is not None]
        column = _column(usual, px_per_mm)
        first = column if len(column) >= _MIN_CROWDED else first
    columns = (first, *_other_columns(found, first, px_per_mm))
    cut = [pulse for column in columns if len(column) > 1 for pulse in _cut_pulses(strokes, column, px_per_mm)]
    return _each_once([pulse for column in columns for pulse in column] + cut)


def _other_columns(found: Sequence[Pulse], first: Sequence[Pulse], px_per_mm: float) -> tuple[tuple[Pulse, ...], ...]:
    """Pulses of the same width in other columns, and in the first one of another gain: half as high, or twice."""
    if len(first) < 2:
        return ()
    model = max(first, key=lambda pulse: pulse.height_px)
    rest = [pulse for pulse in found if pulse not in first and pulse.upright == model.upright]
    rest = [pulse for pulse in rest if _same_width(pulse, model) and _kin(pulse, model)]
    beside = [pulse for pulse in rest if abs(pulse.left_px - model.left_px) <= _COLUMN_MM * px_per_mm]
    columns = [tuple(beside)]
    rest = [pulse for pulse in rest if pulse not in beside]
    while rest:
        column = _column(rest, px_per_mm)
        near = [pulse for pulse in rest if abs(pulse.left_px - column[0].left_px) <= _COLUMN_MM * px_per_mm]
        if len(column) >= max(2, len(first) / 2):
            columns.append(tuple(near))
        rest = [pulse for pulse in rest if pulse not in near]
    return tuple(columns)


def _cut_pulses(strokes: Sequence[Stroke], column: Sequence[Pulse], px_per_mm: float) -> Iterator[Pulse]:
    """Pulses of a column whose bar is not seen, at the edge of the picture: two strokes at their place, level below."""
    left_x, right_x = (float(np.median(x)) for x in zip(*((p.left_px, p.right_px) for p in column), strict=True))
    height = float(np.median([pulse.height_px for pulse in column]))
    near, level = _CUT_MM * px_per_mm, max(2.0, _CUT_MM * px_per_mm)
    for left in strokes:
        for right in strokes:
            apart = (right.x - left.x) / (right_x - left_x)
            if abs(left.x - left_x) > near or abs(right.x - right_x) > near or abs(apart - 1.0) > _WIDTH_SPREAD:
                continue
            if abs(left.bottom - right.bottom) > level or abs(left.top - right.top) > level:
                continue
            free = all(min(p.bar_px, p.foot_px) > left.bottom or max(p.bar_px, p.foot_px) < left.top for p in column)
            if free and column[0].upright and left.top < _CUT_MM * px_per_mm + height / 2:
                foot = (left.bottom + right.bottom) / 2
                yield Pulse(left.x, right.x, foot - height, foot)


def _each_once(pulses: Sequence[Pulse]) -> tuple[Pulse, ...]:
    """Pulses from the top down, and from left to right; of two at one place the first alone."""
    kept: list[Pulse] = []
    for pulse in pulses:
        if not any(_at_one_place(pulse, other) for other in kept):
            kept.append(pulse)
    return tuple(sorted(kept, key=lambda pulse: (pulse.foot_px, pulse.left_px)))


def _at_one_place(pulse: Pulse, other: Pulse) -> bool:
    beside = pulse.left_px < other.right_px and other.left_px < pulse.right_px
    return beside and abs(pulse.foot_px - other.foot_px) < min(pulse.height_px, other.height_px)


def _outermost(ink: Bool[np.ndarray, "h w"], pulse: Pulse, px_per_mm: float) -> bool:
    """Whether nothing is printed beside the pulse on one of its sides: a beat with a flat top has trace on both."""
    top, bottom = sorted((pulse.bar_px, pulse.foot_px))
    rows = slice(max(0, int(top)), int(bottom + 0.5 * px_per_mm) + 1)
    near, far = (round(edge * px_per_mm) for edge in _CLEAR_MM)
    left, right = round(pulse.left_px), round(pulse.right_px)
    sides = (ink[rows, max(0, left - far) : max(0, left - near)], ink[rows, right + near : right + far])
    return any(side.size == 0 or float(side.any(axis=0).mean()) <= _MAX_CLUTTER for side in sides)


def _column(pulses: Sequence[Pulse], px_per_mm: float) -> tuple[Pulse, ...]:
    """The largest set of pulses of one shape that stand in one column, from the top down."""
    best: list[Pulse] = []
    for model in pulses:
        alike = [
            pulse
            for pulse in pulses
            if pulse.upright == model.upright
            and abs(pulse.left_px - model.left_px) <= _COLUMN_MM * px_per_mm
            and abs(pulse.height_px - model.height_px) <= HEIGHT_SPREAD * model.height_px
            and _same_width(pulse, model)
        ]
        if len(alike) > len(best):
            best = alike
    return tuple(sorted(best, key=lambda pulse: pulse.foot_px))


def _same_width(pulse: Pulse, model: Pulse) -> bool:
    return abs(pulse.width_px - model.width_px) <= _WIDTH_SPREAD * model.width_px


def _kin(pulse: Pulse, model: Pulse) -> bool:
    """Whether a pulse is as high as another one, or half or twice as high."""
    ratio = pulse.height_px / model.height_px
    return min(abs(ratio / usual - 1.0) for usual in (0.5, 1.0, 2.0)) <= HEIGHT_SPREAD
