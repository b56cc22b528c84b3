"""Columns that pulses stand between: where the pulses say that one lead ends and the next one begins.

Time goes on from column to column as it is printed: what the pulses take of the paper belongs to no lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.time_steps import WITH_EIGHTHS, nearest_time_step
from ecg_flare.page.layout import Layout, Segment

SAME_LENGTH_S: Final = 0.12  # by which columns of one duration differ on paper
MISSING_S, TOO_MUCH_S = 0.06, 0.016  # of ink in all columns, or a column, against a length that a layout can have
SAMPLE_S: Final = 0.002  # the last sample is drawn one step before a column's end


def place_between_pulses(page: LabelledRows, layout: Layout) -> tuple[LeadSpan, ...] | None:
    """Return the places of a layout's leads, each column from its own pulses to the next ones.

    None where no pulses stand between columns, or where the layout has another number of columns than they part.
    A row of one lead, such as a rhythm strip, begins with the first column and is as long as all columns together.
    """
    columns = page.rows.span.columns_px
    lengths = {len(row) for row in layout.rows}
    if len(columns) < 2 or not lengths <= {1, len(columns)} or lengths == {1}:
        return None
    mended, seconds = _mended(page, columns, layout.duration_s)
    begins = np.concatenate([[0.0], np.cumsum(seconds)])
    whole = (mended[0][0], mended[0][0] + float(begins[-1]) * page.px_per_s)
    spans = []
    for number, row in enumerate(layout.rows):
        if len(row) == 1:
            spans.append(_span(row[0], number, whole, (0.0, float(begins[-1]))))
            continue
        for segment, x_px, start, end in zip(row, mended, begins[:-1], begins[1:], strict=True):
            spans.append(_span(segment, number, x_px, (float(start), float(end))))
    return tuple(spans)


def _mended(
    page: LabelledRows, columns: Sequence[tuple[float, float]], whole_s: float
) -> tuple[list[tuple[float, float]], list[float]]:
    """Return the columns and their seconds, mended to lengths that the layout can have where they nearly have them.

    Only the ink of an end may be missing, so both ends of a column share the difference; an end that a pulse touches
    takes all of it. Columns of one duration are as long as their median: one of them may lose its end to a pulse that
    touches it.
    """
    found = np.array([(right - left) / page.px_per_s for left, right in columns]) + SAMPLE_S
    if np.ptp(found) < SAME_LENGTH_S:
        found[:] = np.median(found)
    total = float(found.sum())
    missing = nearest_time_step(total, whole_s, WITH_EIGHTHS) - total
    if -TOO_MUCH_S * len(found) <= missing <= MISSING_S:
        found += missing / len(found)
    mended = []
    touched = page.rows.span.touched
    for number, ((left, right), seconds) in enumerate(zip(columns, found, strict=True)):
        length = seconds * page.px_per_s
        more = length - SAMPLE_S * page.px_per_s - (right - left)
        at_left, at_right = (2 * number + side in touched for side in (0, 1))
        share = 0.5 if at_left == at_right else float(at_left)
        begin = left - share * more if abs(more) < MISSING_S * page.px_per_s else left
        mended.append((float(begin), float(begin + length)))
    return mended, [float(seconds) for seconds in found]


def _span(segment: Segment, row: int, x_px: tuple[float, float], time_s: tuple[float, float]) -> LeadSpan:
    return LeadSpan(segment.lead, row, *x_px, *time_s, segment.rhythm, segment.inverted)
