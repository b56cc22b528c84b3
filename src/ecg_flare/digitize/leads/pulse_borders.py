"""Columns that pulses stand between: where the pulses say that one lead ends and the next one begins.

Time goes on from column to column as it is printed: what the pulses take of the paper belongs to no lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.time_steps import nearest_time_step
from ecg_flare.page.layout import Layout, Segment

SAME_LENGTH_S: Final = 0.12  # by which columns of one duration differ on paper
MISSING_S, TOO_MUCH_S = 0.06, 0.015  # of ink at a column's ends, against a length that the layout can have
SAMPLE_S: Final = 0.002  # the last sample is drawn one step before a column's end


def place_between_pulses(page: LabelledRows, layout: Layout) -> tuple[LeadSpan, ...] | None:
    """Return the places of a layout's leads, each column from its own pulses to the next ones.

    None where no pulses stand between columns, or where the layout has another number of columns than they part.
    A row of one lead, such as a rhythm strip, begins with the first column and is as long as all columns together.
    """
    columns = page.rows.span.columns_px
    short = next((row for row in layout.rows if len(row) > 1), ())
    if len(columns) < 2 or any(len(row) not in (1, len(columns)) for row in layout.rows) or not short:
        return None
    lengths_s = _lengths_s(page, columns, short)
    begins = np.concatenate([[0.0], np.cumsum(lengths_s)])
    spans = []
    for number, row in enumerate(layout.rows):
        if len(row) == 1:
            left = columns[0][0]
            right = left + begins[-1] * page.px_per_s
            spans.append(_span(row[0], number, (left, right), (0.0, float(begins[-1]))))
            continue
        for segment, (left, _), start, end in zip(row, columns, begins[:-1], begins[1:], strict=True):
            right = left + (end - start) * page.px_per_s
            spans.append(_span(segment, number, (left, right), (float(start), float(end))))
    return tuple(spans)


def _lengths_s(page: LabelledRows, columns: Sequence[tuple[float, float]], short: Sequence[Segment]) -> list[float]:
    """Return how long each column is, mended to a length that the layout can have where nearly so.

    Columns of one duration are as long as their median: one of them may lose its end to a pulse that touches it.
    """
    found = np.array([(right - left) / page.px_per_s for left, right in columns])
    if len({segment.duration_s for segment in short}) == 1 and np.ptp(found) < SAME_LENGTH_S:
        found[:] = np.median(found)
    lengths = []
    for length, segment in zip(found, short, strict=True):
        nominal = nearest_time_step(length, segment.duration_s)
        near = nominal > 0 and -TOO_MUCH_S <= nominal - length - SAMPLE_S <= MISSING_S
        lengths.append(float(nominal if near else length))
    return lengths


def _span(segment: Segment, row: int, x_px: tuple[float, float], time_s: tuple[float, float]) -> LeadSpan:
    return LeadSpan(segment.lead, row, *x_px, *time_s, segment.rhythm, segment.inverted)
