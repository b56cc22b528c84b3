"""Spikes at the ends of leads that no beat explains: a bar, a pulse or a letter that was taken for signal.

The end of a lead, EDGE_S and CONTEXT_S beside it, is laid over every other place of the same lead. A QRS that a border
cuts has its like among the lead's other beats. An ectopic beat has none, but differs beside the end as well. Ink that
is no signal differs at the end alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64, Int64

from ecg_flare.digitize.leads.lead_span import LeadSpan, recorded_spans
from ecg_flare.ecg.leads import ALL_LEADS
from ecg_flare.ecg.record import Recording

EDGE_S: Final = 0.04  # at either end of a lead
CONTEXT_S: Final = 0.12  # beside it: more than a QRS complex
MIN_LEAD_S: Final = 1.2  # a shorter lead may hold one beat alone
LIKEST: Final = 256
"""Places that an end is held against in full."""

LEAST_SPIKE_MV: Final = 0.1
"""A spike, if there are others at another border: of 420 recordings of PTB-XL, 1 % have such."""

SPIKES_TOGETHER_MV, TOGETHER = 0.18, 3
"""A spike, if so many leads have one at the same border, where an odd beat may stand. Both rules name 1.4 % of them."""

End = Literal["start", "end"]


@dataclass(frozen=True)
class BorderSpike:
    """By how much, in mV, an end of a lead differs from all the lead does elsewhere, beyond what its context does.

    `at_s` is where that end stands in the recording.
    """

    lead: str
    end: End
    at_s: float
    height_mv: float


def border_spikes(recording: Recording, spans: Sequence[LeadSpan]) -> tuple[BorderSpike, ...]:
    """Return the height of the spike at either end of each lead, in the order of ALL_LEADS; 0 where there is none.

    `spans` are the leads' places; of a lead that is printed twice the recording holds the longer one. An end that is
    not printed, or whose lead is too short to compare it with, is left out.
    """
    longest = recorded_spans(spans)
    return tuple(
        spike
        for lead in ALL_LEADS
        if lead in longest
        for spike in _of_lead(longest[lead], _signal(recording, longest[lead]), recording.fs_hz)
    )


def spiked_leads(spikes: Sequence[BorderSpike]) -> tuple[str, ...]:
    """Return the names of the leads with a spike that no beat explains, each once.

    An odd beat stands at one border. Bars stand at several.
    """
    high = [spike for spike in spikes if spike.height_mv > LEAST_SPIKE_MV]
    if len({round(spike.at_s, 1) for spike in high}) > 1:
        return tuple(dict.fromkeys(spike.lead for spike in high))
    together = tuple(dict.fromkeys(spike.lead for spike in high if spike.height_mv > SPIKES_TOGETHER_MV))
    return together if len(together) >= TOGETHER else ()


def _signal(recording: Recording, span: LeadSpan) -> Float64[np.ndarray, " n"]:
    """Return what is known of a lead between its first and its last known sample, in mV."""
    signal = recording.lead(span.lead)[span.samples(recording.fs_hz)].astype(np.float64)
    known = np.flatnonzero(np.isfinite(signal))
    return signal[known[0] : known[-1] + 1] if len(known) else signal[:0]


def _of_lead(span: LeadSpan, signal: Float64[np.ndarray, " n"], fs_hz: float) -> Iterator[BorderSpike]:
    if len(signal) < MIN_LEAD_S * fs_hz:
        return
    edge, whole = round(EDGE_S * fs_hz), round((EDGE_S + CONTEXT_S) * fs_hz)
    ends: tuple[tuple[End, Float64[np.ndarray, " n"]], ...] = (("start", signal), ("end", signal[::-1]))
    for end, values in ends:
        height = _height_mv(values, edge, whole)
        if height is not None:
            yield BorderSpike(span.lead, end, span.start_s if end == "start" else span.end_s, height)


def _height_mv(values: Float64[np.ndarray, " n"], edge: int, whole: int) -> float | None:
    """Return the spike at the beginning of `values`; None where it, or all that it is compared with, has gaps."""
    own = values[:whole]
    places = _likest(values, edge, whole)
    if not np.isfinite(own).all() or not len(places):
        return None
    difference = own - np.lib.stride_tricks.sliding_window_view(values, whole)[places]
    difference -= np.median(difference[:, edge:], axis=1, keepdims=True)
    at_edge, beside = np.abs(difference[:, :edge]).max(axis=1), np.abs(difference[:, edge:]).max(axis=1)
    best = int(np.maximum(at_edge, beside).argmin())
    return float(max(0.0, at_edge[best] - beside[best]))


def _likest(values: Float64[np.ndarray, " n"], edge: int, whole: int) -> Int64[np.ndarray, " places"]:
    """Return where the LIKEST stretches begin, without gaps and beyond the end itself, by their distance from it.

    Offsets are left out, as below; the median of every stretch would take too long.
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    gaps, sums, squares = (np.cumsum(np.append(0.0, part)) for part in (~known, filled, filled**2))
    gaps, sums, squares = (part[whole:] - part[:-whole] for part in (gaps, sums, squares))
    own = filled[:whole] - filled[:whole].mean()
    distance = squares - sums**2 / whole - 2.0 * np.correlate(filled, own, mode="valid")
    distance[gaps > 0] = np.inf
    distance[:edge] = distance[len(distance) - edge :] = np.inf
    nearest = np.argsort(distance)[:LIKEST]
    usable: Int64[np.ndarray, " places"] = nearest[np.isfinite(distance[nearest])]
    return usable
