"""Ends of leads that are not seen: what may be lost there, told by how steep the line goes to where it is lost.

A bar hides an end, or no ink was found there. A lead that was cut within a QRS complex may lose most of it so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.bars import Bar
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.record import Recording

SEEN_S: Final = 0.012
"""Of the line beside a hidden or missing end, which its slope is taken from."""

NO_LEAD_S: Final = 0.1
"""A longer end without ink is no end of a line."""


def hidden_energy(recording: Recording, spans: Sequence[LeadSpan], bars: Sequence[Bar]) -> float:
    """Return the energy that the ends hidden by bars may lack, in mV^2 times seconds; spans and bars in one picture.

    A line that is held where it goes under the bar errs by its slope times the way, at most by the lead's own height.
    """
    return sum(_lost(recording, span, hidden) for span in spans for hidden in _hidden(span, bars))


def missing_energy(recording: Recording, spans: Sequence[LeadSpan]) -> float:
    """Return the energy that the leads' ends without ink may have, in mV^2 times seconds.

    The line goes on as steeply as it does beside them, at most to the lead's own height.
    """
    return sum(_missing(recording, span, at_start) for span in spans for at_start in (True, False))


def _missing(recording: Recording, span: LeadSpan, at_start: bool) -> float:
    lead, fs_hz = recording.lead(span.lead)[span.samples(recording.fs_hz)].astype(np.float64), recording.fs_hz
    outwards = lead if at_start else lead[::-1]
    known = np.flatnonzero(np.isfinite(outwards))
    if not len(known) or known[0] == 0 or known[0] > NO_LEAD_S * fs_hz:
        return 0.0
    seen = outwards[known[0] : known[0] + round(SEEN_S * fs_hz)]
    slope = _slope(seen, fs_hz)
    if slope is None:
        return 0.0
    duration_s = float(known[0]) / fs_hz
    reached = float(seen[0]) - slope * duration_s - float(np.nanmedian(lead))
    return min(abs(reached), _height(lead)) ** 2 * duration_s


def _slope(seen: Float64[np.ndarray, " n"], fs_hz: float) -> float | None:
    """Return how steep a stretch goes from its first sample to its last, in mV/s; None where it is not all seen."""
    if len(seen) < 2 or not np.isfinite(seen).all():
        return None
    return float(seen[-1] - seen[0]) / ((len(seen) - 1) / fs_hz)


def _height(lead: Float64[np.ndarray, " n"]) -> float:
    return float(np.nanmax(lead) - np.nanmin(lead))


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
    slope = _slope(lead[max(0, begin) : begin + seen], fs_hz)
    if slope is None:
        return 0.0
    duration_s = hidden[1] - hidden[0]
    furthest = min(abs(slope) * duration_s, _height(lead))
    return furthest**2 / 3 * duration_s
