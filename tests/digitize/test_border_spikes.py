"""Spikes at the ends of leads: their height in mV, and what is none because the lead's own beats explain it."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_flare.digitize.leads.border_spikes import BorderSpike, End, border_spikes, spiked_leads
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording

FS_HZ = 500.0
EDGES_S = (0.0, 2.5, 5.0)
SPANS = [LeadSpan("I", 0, 0.0, 500.0, 0.0, 2.5, False), LeadSpan("aVR", 0, 500.0, 1000.0, 2.5, 5.0, False)]


def beats(at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triangular QRS complexes of 1 mV and 80 ms, at the given seconds, on a line at 0."""
    t = np.arange(0, EDGES_S[-1], 1 / FS_HZ)
    return np.max([np.interp(np.abs(t - at), [0.0, 0.04], [1.0, 0.0]) for at in at_s], axis=0)


def recording(signal: NDArray[np.float64]) -> Recording:
    """The signal cut into leads I and aVR, one after the other."""
    leads = np.full((len(LEADS), len(signal)), np.nan, np.float32)
    for lead, (start, end) in zip(("I", "aVR"), pairwise(EDGES_S), strict=True):
        part = slice(round(start * FS_HZ), round(end * FS_HZ))
        leads[LEADS.index(lead), part] = signal[part]
    return Recording(leads, FS_HZ)


def heights(signal: NDArray[np.float64]) -> dict[tuple[str, End], float]:
    return {(spike.lead, spike.end): spike.height_mv for spike in border_spikes(recording(signal), SPANS)}


REGULAR = np.arange(0.4, 5.0, 0.8)


def test_the_height_of_a_bar_that_was_taken_for_signal() -> None:
    signal = beats(REGULAR)
    signal[round(2.475 * FS_HZ) : round(2.5 * FS_HZ)] += 0.35
    found = heights(signal)
    assert found.pop(("I", "end")) == pytest.approx(0.35, abs=0.06)
    assert max(found.values()) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("at_border_s", [2.47, 2.5, 2.53])
def test_a_beat_that_the_border_cuts_is_no_spike(at_border_s: float) -> None:
    signal = beats(np.append(np.arange(at_border_s % 0.7, 5.0, 0.7), at_border_s))
    assert max(heights(signal).values()) < 0.05


def test_a_spike_on_a_beat_that_the_border_cuts_is_told_from_it() -> None:
    signal = beats(np.arange(0.4, 5.0, 0.7))
    signal[round(2.5 * FS_HZ) : round(2.52 * FS_HZ)] += 0.6
    found = heights(signal)
    assert max(found, key=lambda end: found[end]) == ("aVR", "start")
    assert found[("aVR", "start")] > 0.3


def test_gaps_beside_an_end_and_short_leads_are_left_out() -> None:
    signal = beats(REGULAR)
    signal[10:30] = np.nan
    assert {spike.end for spike in border_spikes(recording(signal), SPANS[:1])} == {"end"}
    short = [LeadSpan("I", 0, 0.0, 200.0, 0.0, 1.0, False)]
    assert border_spikes(recording(beats(REGULAR)), short) == ()


def spike(lead: str, at_s: float, height_mv: float) -> BorderSpike:
    return BorderSpike(lead, "end", at_s, height_mv)


def test_spikes_at_two_borders_name_their_leads() -> None:
    spikes = [spike("I", 2.5, 0.15), spike("II", 2.5, 0.09), spike("aVR", 5.0, 0.12)]
    assert spiked_leads(spikes) == ("I", "aVR")


def test_spikes_at_one_border_may_be_an_odd_beat_unless_many_are_high() -> None:
    assert spiked_leads([spike("I", 2.5, 0.4), spike("II", 2.5, 0.4)]) == ()
    assert spiked_leads([spike(lead, 2.5, 0.15) for lead in ("I", "II", "III")]) == ()
    assert spiked_leads([spike(lead, 2.5, 0.2) for lead in ("I", "II", "III")]) == ("I", "II", "III")


def test_small_spikes_name_no_lead() -> None:
    assert spiked_leads([spike("V1", 5.0, 0.09), spike("V2", 7.5, 0.09)]) == ()
