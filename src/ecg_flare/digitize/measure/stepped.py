"""Stepped calibration pulses: a bar at the limb leads' gain, a step down to the chest leads' gain, then the base line.

Three strokes make one: a tall one from the base line to the first bar, one from there to the second bar, and one from
the second bar to the base line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Bool

from ecg_flare.digitize.measure.pulse import HEIGHT_SPREAD, Pulse
from ecg_flare.digitize.measure.strokes import Stroke, flat_bar, foot_beside

LEVEL_MM: Final = 0.7  # how far the ends of two strokes that meet may differ
BAR_REACH_MM: Final = 0.45
STEPS: Final = (0.5,)
"""The second bar's height over the first one's: chest leads are printed at half the gain."""

EQUAL_PARTS: Final = 0.25  # by which share the two bars' lengths differ


def stepped_pulses(
    ink: Bool[np.ndarray, "h w"], strokes: Sequence[Stroke], widest_px: float, px_per_mm: float
) -> list[Pulse]:
    """Return the stepped pulses among upright strokes, whichever way the page stands."""
    height, width = ink.shape
    turned = [_turned(stroke, width, height) for stroke in reversed(strokes)]
    hanging = _standing(ink[::-1, ::-1], turned, widest_px, px_per_mm)
    return [
        *_standing(ink, strokes, widest_px, px_per_mm),
        *(pulse.rotated_180(width, height) for pulse in hanging),
    ]


def step_share(pulse: Pulse) -> float | None:
    """The usual share of a pulse's height that its second bar stands at; None where it has none, or at no usual one."""
    if pulse.step_height_px is None:
        return None
    share = pulse.step_height_px / pulse.height_px
    nearest = min(STEPS, key=lambda step: abs(share - step))
    return nearest if abs(share / nearest - 1.0) <= 2 * HEIGHT_SPREAD else None


def _standing(
    ink: Bool[np.ndarray, "h w"], strokes: Sequence[Stroke], widest_px: float, px_per_mm: float
) -> Iterator[Pulse]:
    level = max(2.0, LEVEL_MM * px_per_mm)
    for index, left in enumerate(strokes):
        near = [stroke for stroke in strokes[index + 1 :] if stroke.x - left.x <= widest_px]
        falls = [
            stroke for stroke in near if abs(stroke.top - left.top) <= level and stroke.bottom < left.bottom - level
        ]
        for middle in falls:
            for right in near:
                if right.x <= middle.x or abs(right.bottom - left.bottom) > level:
                    continue
                if abs(right.top - middle.bottom) <= level and _has_bars(ink, (left, middle, right), px_per_mm):
                    yield _measured(ink, (left, middle, right), px_per_mm)


def _has_bars(ink: Bool[np.ndarray, "h w"], strokes: tuple[Stroke, Stroke, Stroke], px_per_mm: float) -> bool:
    """Whether flat bars join the strokes, about as long, the second one at a usual step, and the foot is open."""
    left, middle, right = strokes
    first, second = middle.x - left.x, right.x - middle.x
    if min(first, second) < (1.0 - EQUAL_PARTS) * max(first, second):
        return False
    pulse = _measured(ink, strokes, px_per_mm)
    return step_share(pulse) is not None and _bar_y(ink, left, right, pulse.foot_px, px_per_mm) is None


def _measured(ink: Bool[np.ndarray, "h w"], strokes: tuple[Stroke, Stroke, Stroke], px_per_mm: float) -> Pulse:
    """Return the pulse of three strokes; without a step where one of its bars is not drawn."""
    left, middle, right = strokes
    top, step = (left.top + middle.top) / 2, (middle.bottom + right.top) / 2
    bar, second = _bar_y(ink, left, middle, top, px_per_mm), _bar_y(ink, middle, right, step, px_per_mm)
    end = (left.bottom + right.bottom) / 2
    pen = 0.0 if bar is None else max(0.0, bar - top)
    foot = foot_beside(ink, left, right, end, px_per_mm) or end - pen
    pulse = Pulse(left.x, right.x, top if bar is None else bar, foot)
    return pulse if bar is None or second is None else replace(pulse, step_px=second)


def _bar_y(ink: Bool[np.ndarray, "h w"], left: Stroke, right: Stroke, y: float, px_per_mm: float) -> float | None:
    return flat_bar(ink, (left.right + 1, right.left), round(y), max(2, round(BAR_REACH_MM * px_per_mm)))


def _turned(stroke: Stroke, width: int, height: int) -> Stroke:
    return Stroke(
        width - 1 - stroke.x,
        width - 1 - stroke.right,
        width - 1 - stroke.left,
        height - 1 - stroke.bottom,
        height - 1 - stroke.top,
    )
