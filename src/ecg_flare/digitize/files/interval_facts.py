"""A reading's intervals in the report of a batch."""

from __future__ import annotations

from html import escape

from ecg_flare.digitize.reading_intervals import interval_doubts
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.intervals.intervals import QUANTITIES


def interval_facts(result: Digitization) -> str:
    """Return the intervals as a list, with the reason beside each that was not measured."""
    values, reasons = result.intervals.values, result.intervals.not_measured
    shown = {
        name: f"<i>not measured: {escape(reasons[field])}</i>"
        if values[field] is None
        else f"{values[field]:.0f} {unit}"
        for field, (name, unit) in QUANTITIES.items()
    }
    doubts = "; ".join(interval_doubts(result))
    note = f'<p class="doubt">Doubtful: {escape(doubts)}.</p>' if doubts else ""
    return (
        "<dl>"
        + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown.items())
        + f"</dl>{note}"
    )
