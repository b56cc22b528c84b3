"""The energy of columns that two rows share, by hand."""

import numpy as np
import pytest

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.shared_ink import shared_energy
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.ecg.record import Recording

FLAT = np.full(1000, 50.0)


def row(shared: slice) -> RowTrace:
    at = np.zeros(1000, bool)
    at[shared] = True
    return RowTrace(FLAT, FLAT - 1, FLAT + 1, 50.0, at)


def test_a_peak_in_shared_ink_counts_whole_and_one_beside_it_not_at_all() -> None:
    """100 samples of 2 mV at 200 Hz, one sample a pixel."""
    signal = np.zeros((12, 1000), np.float32)
    signal[6, 300:400] = 2.0
    recording = Recording(signal, 200.0)
    spans = (LeadSpan("V1", 0, 0.0, 1000.0, 0.0, 5.0, False),)
    found = shared_energy(recording, (row(slice(290, 410)),), spans)
    assert found[6] == pytest.approx(4.0 * 100 / 200.0)
    assert found.sum() == found[6]
    assert shared_energy(recording, (row(slice(500, 600)),), spans).sum() == 0.0


def test_of_a_lead_that_is_printed_twice_the_longer_stretch_counts() -> None:
    recording = Recording(np.ones((12, 1000), np.float32) * np.arange(1000) / 1000, 200.0)
    short, strip = LeadSpan("II", 0, 0.0, 250.0, 0.0, 1.25, False), LeadSpan("II", 1, 0.0, 1000.0, 0.0, 5.0, True)
    assert shared_energy(recording, (row(slice(0, 250)), row(slice(0, 0))), (short, strip)).sum() == 0.0
