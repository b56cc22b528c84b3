"""What was read of a lead: its gaps, the ink that it shares, its coverage, each inside its own stretch alone."""

import numpy as np
import pytest

from ecg_flare.digitize.leads.lead_reading import LeadReading, count_gaps, read_lead, shared_share
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.ecg.record import Recording


def sine_line(width: int = 1000) -> np.ndarray:
    x = np.arange(width, dtype=np.float64)
    return np.stack([x, 300 - 80 * np.sin(2 * np.pi * x / 200)], axis=1)


def test_gaps_are_counted_inside_a_lead_alone() -> None:
    line = sine_line()
    line[300:320, 1] = line[600:605, 1] = line[900:1000, 1] = np.nan  # lost, bridged, cut off at the end
    assert count_gaps(line, LeadSpan("I", 0, 0.0, 1000.0, 0.0, 5.0, False)) == 1
    assert count_gaps(line, LeadSpan("I", 0, 400.0, 1000.0, 2.0, 5.0, False)) == 0


def test_the_share_of_common_ink_is_counted_inside_a_lead_alone() -> None:
    flat, shared = np.full(1000, 50.0), np.zeros(1000, bool)
    shared[390:420] = True
    row = RowTrace(flat, flat - 1, flat + 1, 50.0, shared)
    assert shared_share(row, LeadSpan("I", 0, 0.0, 400.0, 0.0, 2.0, False)) == pytest.approx(10 / 400)
    assert shared_share(row, LeadSpan("II", 0, 400.0, 1000.0, 2.0, 5.0, False)) == pytest.approx(20 / 600)
    assert shared_share(row, LeadSpan("III", 0, 500.0, 900.0, 2.0, 5.0, False)) == 0.0


def test_a_lead_is_read_with_all_that_is_known_of_it() -> None:
    """Of 5 s at 100 Hz the second is lost."""
    signal = np.full((12, 500), np.nan, np.float32)
    signal[0] = 0.0
    signal[0, 100:200] = np.nan
    flat, shared = np.full(1000, 50.0), np.zeros(1000, bool)
    shared[:10] = True
    line = sine_line()
    line[200:400, 1] = np.nan
    span = LeadSpan("I", 0, 0.0, 1000.0, 0.0, 5.0, False)
    found = read_lead(span, RowTrace(flat, flat - 1, flat + 1, 50.0, shared), line, Recording(signal, 100.0))
    assert found == LeadReading(span, gaps=1, shared=0.01, coverage=0.8)
    assert span.title == "I"
    assert LeadSpan("II", 0, 0.0, 1000.0, 0.0, 5.0, True).title == "II rhythm"
