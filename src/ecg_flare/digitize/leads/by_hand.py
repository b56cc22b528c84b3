"""Leads that a person named, and borders that a person set; what speaks for the layout is weighed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from ecg_flare.digitize.leads.assign import Assignment, judge_given, limb_consistency
from ecg_flare.digitize.leads.label_evidence import label_evidence
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.strips import worst_strip_db
from ecg_flare.errors import ConfigError

Place = tuple[int, int]
"""A row from the top, and a place in it from the left."""

SHORTEST_S: Final = 0.1


def places_of(spans: Sequence[LeadSpan]) -> Mapping[Place, int]:
    """Return the number of the span that stands at each place."""
    found: dict[Place, int] = {}
    for row in sorted({span.row for span in spans}):
        numbers = [number for number, span in enumerate(spans) if span.row == row]
        numbers.sort(key=lambda number: spans[number].left_px)
        found.update({(row, place): number for place, number in enumerate(numbers)})
    return found


def lead_by_hand(
    assignment: Assignment,
    page: LabelledRows,
    names: Mapping[Place, str],
    borders: Mapping[tuple[Place, Literal["left", "right"]], float],
) -> Assignment:
    """Return the assignment with these names and borders (x in pixels), and what now speaks for it.

    Raises ConfigError for a place that the page does not have, or a lead that would be shorter than SHORTEST_S.
    """
    if not names and not borders:
        return assignment
    spans, places = list(assignment.spans), places_of(assignment.spans)
    for place in (*names, *(place for place, _ in borders)):
        if place not in places:
            raise ConfigError(f"row {place[0] + 1} of this page has no place {place[1] + 1}")
    for (place, side), x_px in borders.items():
        spans[places[place]] = _moved(spans[places[place]], side, x_px, in_time=assignment.columns == "consecutive")
    for place, lead in names.items():
        spans[places[place]] = replace(spans[places[place]], lead=lead, guessed=False)
    for span in spans:
        if not span.duration_s >= SHORTEST_S:
            raise ConfigError(
                f"lead {span.lead} would be {span.duration_s:.2f} s long; expected {SHORTEST_S} s or more"
            )
    return _weighed(replace(assignment, spans=_from_zero(spans)), page)


def _moved(span: LeadSpan, side: str, x_px: float, *, in_time: bool) -> LeadSpan:
    """Return a span with one end at another x; columns that go on in time begin later where they begin further on."""
    unit = span.seconds_per_px
    if side == "right":
        return replace(span, right_px=x_px, end_s=span.start_s + (x_px - span.left_px) * unit)
    if in_time:
        return replace(span, left_px=x_px, start_s=span.end_s - (span.right_px - x_px) * unit)
    return replace(span, left_px=x_px, end_s=span.start_s + (span.right_px - x_px) * unit)


def _from_zero(spans: Sequence[LeadSpan]) -> tuple[LeadSpan, ...]:
    """Return the spans with the first one beginning at time zero."""
    first = min(span.start_s for span in spans)
    return tuple(replace(span, start_s=span.start_s - first, end_s=span.end_s - first) for span in spans)


def _weighed(assignment: Assignment, page: LabelledRows) -> Assignment:
    spans = assignment.spans
    labels = label_evidence(page, spans)
    evidence = replace(
        assignment.evidence,
        labels_read=labels.read,
        labels_agreeing=labels.agreeing,
        limb_db=limb_consistency(page.rows, spans),
        strip_db=worst_strip_db(page.rows, spans) if assignment.columns == "consecutive" else None,
        places=len(spans),
        guessed=tuple(span.lead for span in spans if span.guessed),
    )
    return judge_given(replace(assignment, evidence=evidence))
