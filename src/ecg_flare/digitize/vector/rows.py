"""Traces as rows: which of them stand side by side, and what the stages that read pixels want to know of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.trace.page_span import PageSpan
from ecg_flare.digitize.trace.raster import sample_rows
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.digitize.vector.strokes import Stroke

MAX_ROWS: Final = 24

_SAME_ROW: Final = 0.5  # of the least distance of rows
_OVERLAP_MM: Final = 3.0
_STEP_PX: Final = 0.1  # straight lines are cut as finely as this, so that what follows keeps them straight
_APART_PX: Final = 1e-6
_SAME_END_MM: Final = 1.0


@dataclass(frozen=True, eq=False)
class StrokeRow:
    """The traces of a row from left to right, and their common resting height in pixels."""

    strokes: tuple[Stroke, ...]

    @property
    def level(self) -> float:
        """The resting height: that of the row's traces, by their lengths."""
        return float(np.average([s.level for s in self.strokes], weights=[s.right - s.left for s in self.strokes]))

    @property
    def polyline(self) -> Float64[np.ndarray, "k 2"]:
        """All traces as one line: x grows with each point, and NaN stands between traces."""
        parts: list[Float64[np.ndarray, "k 2"]] = []
        for number, stroke in enumerate(self.strokes):
            points = _straight(_rising(stroke.points))
            if number + 1 < len(self.strokes):  # where two leads meet, the border is the next one's
                points = points[points[:, 0] < self.strokes[number + 1].left - _APART_PX]
            if parts:
                parts.append(np.array([[(parts[-1][-1, 0] + points[0, 0]) / 2, np.nan]]))
            parts.append(points)
        return np.concatenate(parts)


def group_rows(strokes: Sequence[Stroke], scale: PxPerMm) -> tuple[StrokeRow, ...]:
    """The traces in rows from top to bottom: those at one height that do not stand one above the other."""
    near = _SAME_ROW * _least_distance(strokes, scale)
    rows: list[list[Stroke]] = []
    for stroke in sorted(strokes, key=lambda each: each.level):
        beside = [
            row
            for row in rows
            if abs(np.mean([other.level for other in row]) - stroke.level) < near
            and not any(_overlap(stroke, other, scale) for other in row)
        ]
        if beside:
            min(beside, key=lambda row: abs(np.mean([other.level for other in row]) - stroke.level)).append(stroke)
        else:
            rows.append([stroke])
    found = (StrokeRow(tuple(sorted(row, key=lambda stroke: stroke.left))) for row in rows)
    return tuple(sorted(found, key=lambda row: row.level))


def page_lines(rows: Sequence[StrokeRow], pulses: Sequence[Pulse], scale: PxPerMm, width: int) -> PageLines:
    """What the stages after the tracing of pixels take; columns of pixels are those of a page of that width."""
    polylines = tuple(row.polyline for row in rows)
    pen = float(np.median([stroke.width_px for row in rows for stroke in row.strokes]))
    traces = tuple(_row_trace(line, row.level, pen, width) for line, row in zip(polylines, rows, strict=True))
    raster = sample_rows(polylines, [row.level for row in rows], page_span(rows, pulses, scale), scale)
    return PageLines(traces, polylines, max(pen, 1.0), raster)


def page_span(rows: Sequence[StrokeRow], pulses: Sequence[Pulse], scale: PxPerMm) -> PageSpan:
    """Where the recording begins and ends: where most rows do; and the pulses that part its columns."""
    left = _agreed([row.strokes[0].left for row in rows], scale)
    right = _agreed([row.strokes[-1].right for row in rows], scale)
    at_left = any(pulse.right_px < left + _SAME_END_MM * scale.x for pulse in pulses)
    at_right = any(pulse.left_px > right - _SAME_END_MM * scale.x for pulse in pulses)
    side: Literal["left", "right", "both", "none"] = (
        "both" if at_left and at_right else "left" if at_left else "right" if at_right else "none"
    )
    inner = [pulse for pulse in pulses if pulse.left_px > left and pulse.right_px < right]
    return PageSpan(left, right, side, _gaps(rows, inner))


def _gaps(rows: Sequence[StrokeRow], pulses: Sequence[Pulse]) -> tuple[tuple[float, float], ...]:
    """The stretches between traces that hold a pulse, each once."""
    found: list[tuple[float, float]] = []
    for row in rows:
        for before, after in zip(row.strokes[:-1], row.strokes[1:], strict=True):
            holds = any(before.right <= pulse.left_px and pulse.right_px <= after.left for pulse in pulses)
            if holds and not any(before.right < right and left < after.left for left, right in found):
                found.append((before.right, after.left))
    return tuple(sorted(found))


def _least_distance(strokes: Sequence[Stroke], scale: PxPerMm) -> float:
    """The least distance of the heights of traces that stand one above the other; 30 mm where none do."""
    distances = [
        abs(one.level - other.level)
        for number, one in enumerate(strokes)
        for other in strokes[:number]
        if _overlap(one, other, scale)
    ]
    return min(distances, default=30.0 * scale.y)


def _overlap(one: Stroke, other: Stroke, scale: PxPerMm) -> bool:
    return min(one.right, other.right) - max(one.left, other.left) > _OVERLAP_MM * scale.x


def _rising(points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
    """The line with each x a trifle beyond the one before it, where a stroke is upright."""
    x = np.maximum.accumulate(points[:, 0])
    first = np.concatenate([[True], np.diff(x) > 0])
    since = np.arange(len(x)) - np.maximum.accumulate(np.where(first, np.arange(len(x)), 0))
    return np.stack([x + _APART_PX * since, points[:, 1]], axis=1)


def _straight(points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
    """The line with more points on it, so that a curve through them is as straight as it is."""
    steps = np.maximum(1, np.ceil(np.diff(points[:, 0]) / _STEP_PX)).astype(int)
    at = np.concatenate([np.repeat(np.arange(len(steps)), steps) + _fractions(steps), [len(steps)]])
    along = np.arange(len(points))
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1)


def _fractions(steps: np.ndarray) -> Float64[np.ndarray, " n"]:
    begins = np.repeat(np.cumsum(steps) - steps, steps)
    fractions: Float64[np.ndarray, " n"] = (np.arange(int(steps.sum())) - begins) / np.repeat(steps, steps)
    return fractions


def _row_trace(line: Float64[np.ndarray, "k 2"], level: float, pen: float, width: int) -> RowTrace:
    known = line[np.isfinite(line[:, 1])]
    column = np.clip(np.round(known[:, 0]).astype(int), 0, width - 1)
    total, count = np.bincount(column, known[:, 1], width), np.bincount(column, minlength=width)
    top, bottom = np.full(width, np.inf), np.full(width, -np.inf)
    np.minimum.at(top, column, known[:, 1])
    np.maximum.at(bottom, column, known[:, 1])
    inked = count > 0
    y = np.where(inked, total / np.maximum(count, 1), np.nan)
    top, bottom = np.where(inked, top - pen / 2, np.nan), np.where(inked, bottom + pen / 2, np.nan)
    return RowTrace(y, top, bottom, level, np.zeros(width, bool))


def _agreed(places: Sequence[float], scale: PxPerMm) -> float:
    """The middle of the largest group of places that agree."""
    found = np.array(places)
    near = np.abs(found[:, None] - found) < _SAME_END_MM * scale.x
    return float(np.median(found[near[int(near.sum(axis=1).argmax())]]))
