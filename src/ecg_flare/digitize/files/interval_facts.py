"""A reading's intervals in the report of a batch."""

from __future__ import annotations

from html import escape

from ecg_flare.digitize.reading_intervals import interval_doubts
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.intervals.intervals import QUANTITIES, Intervals, with_unit


def interval_facts(result: Digitization) -> str:
    """Return the intervals as a list, with the reason beside each that was not measured."""
    doubts = "; ".join(interval_doubts(result))
    note = f'<p class="doubt">Doubtful: {escape(doubts)}.</p>' if doubts else ""
    return f"<dl>{''.join(_fact(result.intervals, field) for field in QUANTITIES)}</dl>{note}"


def _fact(intervals: Intervals, field: str) -> str:
    name, unit = QUANTITIES[field]
    value = intervals.values[field]
    reason = escape(intervals.not_measured.get(field, ""))
    shown = f"<i>not measured: {reason}</i>" if value is None else with_unit(value, unit)
    return f"<div><dt>{name}</dt><dd>{shown}</dd></div>"
