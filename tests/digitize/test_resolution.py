"""What pixel columns lose, against sums by hand."""

import numpy as np
import pytest

from ecg_flare.digitize.leads.resolution import column_error
from ecg_flare.ecg.record import Recording


def recording(lead: np.ndarray) -> Recording:
    signal = np.full((12, len(lead)), np.nan, np.float32)
    signal[1] = lead
    return Recording(signal, 500.0)


def test_a_straight_slope_comes_back_whole_and_an_unread_lead_has_no_error() -> None:
    error = column_error(recording(np.linspace(0.0, 1.0, 1001)), px_per_s=100.0)
    assert error.max() < 1e-4  # the two ends: half a column has nothing beyond it
    assert error[0] == 0.0


def test_a_peak_one_column_wide_loses_a_quarter_and_gives_an_eighth_to_either_side() -> None:
    """Means of the triangle 0, 1, 0 over whole columns are 1/8, 3/4, 1/8; one sample a column."""
    lead = np.zeros(101)
    lead[50] = 1.0
    expected = (0.25**2 + 2 * 0.125**2) / 500.0
    assert column_error(recording(lead), px_per_s=500.0)[1] == pytest.approx(expected, rel=1e-6)


def test_finer_columns_lose_less() -> None:
    beat = np.exp(-0.5 * ((np.arange(1000) - 500) / 5.0) ** 2)
    coarse, fine = (column_error(recording(beat), px_per_s)[1] for px_per_s in (60.0, 240.0))
    assert fine < coarse / 20
