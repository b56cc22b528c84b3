"""What a bar may hide of a lead, by the slope with which its line goes under the bar."""

import numpy as np
import pytest

from ecg_flare.digitize.leads.bars import Bar, Place
from ecg_flare.digitize.leads.hidden_ends import hidden_energy, missing_energy
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording

FS_HZ = 500.0
SPANS = (LeadSpan("I", 0, 0.0, 500.0, 0.0, 2.0, False), LeadSpan("V1", 0, 500.0, 1000.0, 2.0, 4.0, False))
BAR = Bar(Place(500.0, 0, 100.0, "between"), 495.0, 505.0)  # 20 ms of each lead


def recording(slope_mv_per_s: float) -> Recording:
    """Both leads climb to the border and fall from it; lead I is 1 mV high, V1 flat."""
    signal = np.full((len(LEADS), 2000), np.nan, np.float32)
    time_s = np.arange(2000) / FS_HZ
    signal[0, :1000] = np.maximum(0.0, 1.0 - slope_mv_per_s * np.abs(2.0 - time_s[:1000]))
    signal[LEADS.index("V1"), 1000:] = 0.0
    return Recording(signal, FS_HZ)


def test_a_steep_line_may_lose_its_slope_times_the_way_as_a_triangle() -> None:
    assert hidden_energy(recording(20.0), SPANS, (BAR,)) == pytest.approx((20.0 * 0.02) ** 2 / 3 * 0.02, rel=0.02)


def test_no_more_than_the_lead_s_own_height_is_lost() -> None:
    steepest = hidden_energy(recording(25.0), SPANS, (Bar(BAR.place, 485.0, 505.0),))
    assert steepest <= 1.0**2 / 3 * 0.06 + 1e-9


@pytest.mark.parametrize("bars", [(), (Bar(Place(500.0, 1, 100.0, "between"), 495.0, 505.0),)])
def test_without_a_bar_in_the_row_nothing_is_hidden(bars: tuple[Bar, ...]) -> None:
    assert hidden_energy(recording(20.0), SPANS, bars) == 0.0


def test_a_level_line_loses_nothing() -> None:
    assert hidden_energy(recording(0.0), SPANS, (BAR,)) == 0.0


@pytest.mark.parametrize("at_start", [True, False])
def test_a_missing_end_is_as_high_as_the_line_would_go(at_start: bool) -> None:
    """A stroke of 50 mV/s is last seen at 0.5 mV, 10 ms before the end: it goes on to 1 mV."""
    signal = np.full((len(LEADS), 1000), np.nan, np.float32)
    to_end_s = (999 - np.arange(1000)) / FS_HZ
    line = np.maximum(0.0, 1.0 - 50.0 * np.abs(to_end_s))
    line[500] = -2.0  # the lead is higher than that
    line[-5:] = np.nan
    signal[0] = line[::-1] if at_start else line
    found = missing_energy(Recording(signal, FS_HZ), SPANS[:1])
    assert found == pytest.approx(1.0**2 * 0.01, rel=0.05)


def test_ends_that_are_seen_or_level_or_long_miss_nothing() -> None:
    whole = recording(20.0).signal_mv[:, :1000]
    level, long = whole.copy(), whole.copy()
    level[0, :5] = np.nan
    long[0, :100] = np.nan
    for signal in (whole, level, long):
        assert missing_energy(Recording(signal, FS_HZ), SPANS[:1]) == pytest.approx(0.0, abs=1e-9)
