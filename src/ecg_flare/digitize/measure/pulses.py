"""The calibration pulses of a page: pairs of strokes of one shape, in one column, with nothing beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measure.strokes import pulse_between, upright_strokes
from ecg_flare.digitize.rectify.light import line_depth

_MAX_WIDTH_MM: Final = 12.0
_COLUMN_MM: Final = 2.5  # the pulses of a page stand in one column, give or take curved paper
_CLEAR_MM: Final = (3.5, 30.0)  # beside a pulse, outwards, there is nothing from here to there
_MAX_CLUTTER: Final = 0.2
_FINEST_PX_PER_MM: Final = 5.0  # finer pictures are shrunk before pulses are sought
_INK_LEVELS: Final = (0.38, 0.62)  # thresholds of the ink, as parts of the darkest


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


def pulses_in(ink: Bool[np.ndarray, "h w"], px_per_mm: float) -> tuple[Pulse, ...]:
    """Calibration pulses among dark pixels; the rest as in find_pulses."""
    strokes = upright_strokes(ink, px_per_mm)
    found = []
    for index, left in enumerate(strokes):
        for right in strokes[index + 1 :]:
            if right.x - left.x > _MAX_WIDTH_MM * px_per_mm:
                break
            pulse = pulse_between(ink, left, right, px_per_mm)
            if pulse is not None and _outermost(ink, pulse, px_per_mm):
                found.append(pulse)
    return _column(found, px_per_mm)


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
            and abs(pulse.height_px - model.height_px) <= 0.06 * model.height_px
            and abs(pulse.width_px - model.width_px) <= 0.15 * model.width_px
        ]
        if len(alike) > len(best):
            best = alike
    return tuple(sorted(best, key=lambda pulse: pulse.foot_px))
