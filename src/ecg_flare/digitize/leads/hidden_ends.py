"""Ends of leads that a bar hides: what may be lost there, told by how steep the line goes under the bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.bars import Bar
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.record import Recording

SEEN_S: Final = 0.012
"""Of the line beside a bar, which its slope is taken from."""


def hidden_energy(recording: Recording, spans: Sequence[LeadSpan], bars: Sequence[Bar]) -> float:
    """Return the energy that the ends hidden by bars may lack, in mV^2 times seconds; spans and bars in one picture.

    A line that is held where it goes under the bar errs by its slope times the way, at most by the lead's own height.
    """
    return sum(_lost(recording, span, hidden) for span in spans for hidden in _hidden(span, bars))


def _hidden(span: LeadSpan, bars: Sequence[Bar]) -> Iterator[tuple[float, float]]:
    """Yield the stretches of time of a lead that lie under bars, in seconds of the recording."""
    for bar in bars:
        left, right = max(bar.left_px, span.left_px), min(bar.right_px, span.right_px)
        if bar.place.row == span.row and left < right:
            yield (
                span.start_s + (left - span.left_px) * span.seconds_per_px,
                span.start_s + (right - span.left_px) * span.seconds_per_px,
            )


def _lost(recording: Recording, span: LeadSpan, hidden: tuple[float, float]) -> float:
    lead, fs_hz = recording.lead(span.lead).astype(np.float64), recording.fs_hz
    seen = round(SEEN_S * fs_hz)
    at_start = hidden[0] - span.start_s < span.end_s - hidden[1]
    begin = round(hidden[1] * fs_hz) if at_start else round(hidden[0] * fs_hz) - seen
    beside = lead[max(0, begin) : begin + seen]
    if len(beside) < 2 or not np.isfinite(beside).all():
        return 0.0
    slope = abs(float(beside[-1] - beside[0])) / ((len(beside) - 1) / fs_hz)
    duration_s = hidden[1] - hidden[0]
    furthest = min(slope * duration_s, float(np.nanmax(lead) - np.nanmin(lead)))
    return furthest**2 / 3 * duration_s
