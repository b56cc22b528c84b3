"""Calibration pulses in the lines of traces: up, along, down, and at right angles, as no heart draws."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.digitize.vector.strokes import Stroke

_STEEP_MM: Final = 0.2
"""Width of a pulse's sides at the most: some machines draw them within a sample or two."""

_LEVEL_MM: Final = 0.1
_HEIGHT_MM: Final = (2.0, 45.0)
_WIDTH_MM: Final = (1.2, 11.0)
_FEET_MM: Final = 0.2  # by which the ends of its sides differ in height
_BESIDE_MM: Final = 1.5  # of base line that may stand before and behind it


def find_pulses_in(points: Float64[np.ndarray, "k 2"], scale: PxPerMm) -> list[Pulse]:
    """The pulses of a line, from left to right."""
    sides = _sides(points, scale)
    found = []
    for (rise, fall), (rise_end, fall_end) in pairwise(sides):
        top = points[fall : rise_end + 1]
        foot, end = float(points[rise, 1]), float(points[fall_end, 1])
        height_mm = (foot - float(np.median(top[:, 1]))) / scale.y
        width_mm = (_middle(points, rise_end, fall_end) - _middle(points, rise, fall)) / scale.x
        level = np.ptp(top[:, 1]) < _LEVEL_MM * scale.y and abs(foot - end) < _FEET_MM * scale.y
        if level and _HEIGHT_MM[0] < height_mm < _HEIGHT_MM[1] and _WIDTH_MM[0] < width_mm < _WIDTH_MM[1]:
            left, right = _middle(points, rise, fall), _middle(points, rise_end, fall_end)
            found.append(Pulse(left, right, float(np.median(top[:, 1])), (foot + end) / 2))
    return found


def without_pulse(stroke: Stroke, pulses: list[Pulse], scale: PxPerMm) -> list[Stroke]:
    """What is left of a trace when its pulses are taken off, with the base line beside them."""
    left, parts = -np.inf, []
    for pulse in (*pulses, None):
        right = np.inf if pulse is None else pulse.left_px - _base_before(stroke, pulse, scale)
        inside = (stroke.points[:, 0] > left) & (stroke.points[:, 0] < right)
        if inside.sum() >= 2:
            parts.append(replace(stroke, points=stroke.points[inside]))
        left = np.inf if pulse is None else pulse.right_px + _base_behind(stroke, pulse, scale)
    return parts


def _base_behind(stroke: Stroke, pulse: Pulse, scale: PxPerMm) -> float:
    """How far the level base line behind a pulse goes on: to the first sample of the recording, which a gap or another
    distance of points may show; half a side's width at least."""
    return _base(stroke.points, pulse.right_px, pulse.foot_px, scale)


def _base_before(stroke: Stroke, pulse: Pulse, scale: PxPerMm) -> float:
    mirrored = stroke.points[::-1] * np.array([-1.0, 1.0])
    return _base(mirrored, -pulse.left_px, pulse.foot_px, scale)


def _base(points: Float64[np.ndarray, "k 2"], edge: float, foot: float, scale: PxPerMm) -> float:
    behind = points[(points[:, 0] > edge + 1e-6) & (points[:, 0] < edge + _BESIDE_MM * scale.x)]
    level = np.abs(behind[:, 1] - foot) < 1e-3 * scale.y
    length = int(np.argmin(level)) if not level.all() else len(level)
    return float(behind[length - 1, 0] - edge) + 1e-6 if length else _STEEP_MM * scale.x / 2


def _sides(points: Float64[np.ndarray, "k 2"], scale: PxPerMm) -> list[tuple[int, int]]:
    """First and last point of each upright stretch, of one direction, that is high enough for a pulse's side."""
    way = np.diff(points, axis=0)
    steep = (np.abs(way[:, 0]) < _STEEP_MM * scale.x) & (np.abs(way[:, 1]) > 4 * np.abs(way[:, 0]))
    found, at = [], 0
    while at < len(steep):
        if not steep[at]:
            at += 1
            continue
        end = at
        while end < len(steep) and steep[end] and way[end, 1] * way[at, 1] > 0:
            end += 1
        high = abs(points[end, 1] - points[at, 1]) > _HEIGHT_MM[0] * scale.y
        if high and points[end, 0] - points[at, 0] < 2 * _STEEP_MM * scale.x:
            found.append((at, end))
        at = end
    return found


def _middle(points: Float64[np.ndarray, "k 2"], first: int, last: int) -> float:
    return float(points[first, 0] + points[last, 0]) / 2
