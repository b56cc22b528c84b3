"""A layout laid over the rows of a page: every row cut into the layout's segments, as its labels say where they can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ecg_flare.digitize.leads.columns import LabelPosition, uneven_borders
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.pulse_borders import place_between_pulses
from ecg_flare.digitize.leads.time_steps import nearest_time_step
from ecg_flare.page.layout import Layout, Segment

NOMINAL_TOLERANCE_S: Final = 0.06
EDGE_MM: Final = 1.5
SAME_TIME_S: Final = 0.05
SAMPLE_S: Final = 0.002  # recorders sample at 500 Hz, most of them


def place_layout(page: LabelledRows, layout: Layout) -> tuple[LeadSpan, ...]:
    """Return the places of a layout's leads on a page that has as many rows."""
    between_pulses = place_between_pulses(page, layout)
    if between_pulses is not None:
        return between_pulses
    return _follow_labels(page, layout, _place(page, layout))


def _place(page: LabelledRows, layout: Layout) -> tuple[LeadSpan, ...]:
    """Cut every row into the layout's segments, in proportion to their duration; a shorter row ends earlier."""
    left, right = nominal_span(page, layout)
    seconds = (right - left) / page.rows.scale.x / page.speed_mm_per_s
    spans = []
    length = layout.duration_s
    factor = seconds / length
    for row, segments in enumerate(layout.rows):
        done = 0.0
        for segment in segments:
            a, b = left + (right - left) * done / length, left + (right - left) * (done + segment.duration_s) / length
            spans.append(_span(segment, row, (a, b), factor))
            done += segment.duration_s
    return tuple(spans)


def _span(segment: Segment, row: int, x_px: tuple[float, float], factor: float) -> LeadSpan:
    start, end = segment.start_s * factor, (segment.start_s + segment.duration_s) * factor
    return LeadSpan(segment.lead, row, x_px[0], x_px[1], start, end, segment.rhythm, segment.inverted)


def nominal_span(page: LabelledRows, layout: Layout) -> tuple[float, float]:
    """Return where the rows begin and end, in pixels, mended to a length that the layout can have.

    Only the ink of an end may be missing. An end that lies at the page's edge is the one that was cut; otherwise both
    share the difference.
    """
    rows = page.rows
    left, right = rows.span.left_px, rows.span.right_px
    px_per_s = page.px_per_s
    nominal = nearest_time_step((right - left) / px_per_s, layout.duration_s) * px_per_s
    # the last sample is drawn one step before the end
    missing = nominal - (right - left) - SAMPLE_S * px_per_s
    if nominal <= 0 or abs(missing) > NOMINAL_TOLERANCE_S * px_per_s:
        return left, right
    edge = EDGE_MM * rows.scale.x
    share = 1.0 if left < edge else 0.0 if right > rows.width_px - edge else 0.5
    begin = left - share * missing
    return begin, begin + nominal


def _follow_labels(page: LabelledRows, layout: Layout, spans: tuple[LeadSpan, ...]) -> tuple[LeadSpan, ...]:
    """Move the columns' borders to where the labels say that they are, if the page cuts a column short."""
    short = [span for span in spans if not span.is_rhythm]
    lefts = sorted({round(span.left_px, 2) for span in short})
    segments = [segment for row in layout.rows for segment in row if not segment.rhythm]
    if not short or any(abs(span.start_s - (span.left_px - lefts[0]) / page.px_per_s) > SAME_TIME_S for span in short):
        return spans  # columns that do not follow each other in time keep the times that the layout gives them
    if len({segment.duration_s for segment in segments}) != 1 or len(lefts) * len({s.row for s in short}) != len(short):
        return spans
    places = _agreeing_labels(page, short, lefts)
    column_px = segments[0].duration_s * page.px_per_s
    borders = uneven_borders(places, len(lefts), lefts[0], page.rows.span.right_px, column_px, page.rows.scale.x)
    if borders is None:
        return spans
    moved = []
    for span in spans:
        k = lefts.index(round(span.left_px, 2)) if not span.is_rhythm else 0
        left, right = (borders[k], borders[k + 1]) if not span.is_rhythm else (borders[0], borders[-1])
        start, end = ((x - borders[0]) / page.px_per_s for x in (left, right))
        moved.append(replace(span, left_px=left, right_px=right, start_s=start, end_s=end))
    return tuple(moved)


def _agreeing_labels(page: LabelledRows, short: Sequence[LeadSpan], lefts: Sequence[float]) -> list[LabelPosition]:
    """Return where the labels stand that name the lead expected at their place."""
    places = []
    for span in short:
        word = page.word_at(span)
        if word is not None and word.best == span.lead:
            places.append(LabelPosition(lefts.index(round(span.left_px, 2)), word.left))
    return places
