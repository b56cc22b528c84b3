"""Where leads begin and end in the lines of a file: at the ends of lines, or at a point of theirs; to the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.column_times import ColumnTimes
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.vector.rows import StrokeRow

_NEAR_S: Final = 0.1
"""By which an end of a lead, as the layout places it, is off the end of its line."""

_STEP_S: Final = 0.02
"""Machines print leads of so many hundredths of a second; what is nearer than the tolerance to one is that long."""

_TOLERANCE_S: Final = 0.006
_WHOLE_S: Final = 0.5
_LEAST_PX: Final = 1e-5


def settle_on_lines(
    spans: Sequence[LeadSpan],
    rows: Sequence[StrokeRow],
    px_per_s: float,
    columns: ColumnTimes,
    *,
    after_pulse: bool,
) -> tuple[LeadSpan, ...]:
    """The stretches with their ends where lines end, and times that the paper's speed gives.

    A lead that has a line of its own begins with it and is as long as it is. Others begin at the point of their row's
    line that is nearest to the border. Columns that follow each other in time begin where those before them end.
    `after_pulse`: the lines begin behind a calibration pulse, whose base line may be left on them.
    """
    placed = [_placed(span, rows[span.row], px_per_s, after_pulse=after_pulse) for span in spans]
    if columns != "consecutive":
        return tuple(replace(span, start_s=0.0, end_s=span.end_s - span.start_s) for span in placed)
    return tuple(_at_time(span, _columns(placed, px_per_s), px_per_s) for span in placed)


def _placed(span: LeadSpan, row: StrokeRow, px_per_s: float, *, after_pulse: bool) -> LeadSpan:
    """The stretch on its row's line, as long in time as it is on the paper; its start is still the layout's."""
    near = _NEAR_S * px_per_s
    own = [
        stroke
        for stroke in row.strokes
        if abs(stroke.left - span.left_px) < near and abs(stroke.right - span.right_px) < near
    ]
    if own:
        end = own[0].right + _sample_px(row)
        left, seconds = own[0].left, _usual((end - own[0].left) / px_per_s)
        whole = round(seconds / _WHOLE_S) * _WHOLE_S
        if _TOLERANCE_S < abs(seconds - whole) < _NEAR_S and after_pulse:  # base line of the pulse, or samples like it
            left, seconds = end - whole * px_per_s, whole
    else:
        left, seconds = _nearest_point(row, span.left_px, near), _usual((span.right_px - span.left_px) / px_per_s)
    left -= _LEAST_PX
    return replace(span, left_px=left, right_px=left + seconds * px_per_s, end_s=span.start_s + seconds)


def _usual(seconds: float) -> float:
    nearest = round(seconds / _STEP_S) * _STEP_S
    return nearest if abs(seconds - nearest) < _TOLERANCE_S else seconds


def _sample_px(row: StrokeRow) -> float:
    """The usual distance of points: that of samples, unless the file leaves points out."""
    return float(np.median([np.median(np.diff(stroke.points[:, 0])) for stroke in row.strokes]))


def _nearest_point(row: StrokeRow, x: float, near: float) -> float:
    places = np.concatenate([stroke.points[:, 0] for stroke in row.strokes])
    nearest = float(places[int(np.abs(places - x).argmin())])
    return nearest if abs(nearest - x) < near / 4 else x


def _columns(spans: Sequence[LeadSpan], px_per_s: float) -> list[tuple[float, float]]:
    """Where each column of short leads begins, in pixels and in seconds: where those before it end."""
    short = sorted((span for span in spans if not span.is_rhythm), key=lambda span: span.left_px)
    columns: list[list[LeadSpan]] = []
    for span in short or sorted(spans, key=lambda span: span.left_px):
        if columns and span.left_px - columns[-1][0].left_px < _NEAR_S * px_per_s:
            columns[-1].append(span)
        else:
            columns.append([span])
    lengths = [float(np.median([span.duration_s for span in column])) for column in columns]
    begins = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    return [(float(np.median([span.left_px for span in c])), float(at)) for c, at in zip(columns, begins, strict=True)]


def _at_time(span: LeadSpan, columns: Sequence[tuple[float, float]], px_per_s: float) -> LeadSpan:
    """The stretch at the time of its column; a strip that begins at none goes on from the one before it."""
    left, begin = min(columns, key=lambda column: abs(column[0] - span.left_px))
    off = (span.left_px - left) / px_per_s
    start = begin if abs(off) < _NEAR_S else max(0.0, begin + off)
    return replace(span, start_s=start, end_s=start + span.duration_s)
