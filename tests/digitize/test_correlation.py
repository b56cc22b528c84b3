"""The autocorrelation of drawn lines: high at their periods, low between."""

import math

import numpy as np
import pytest
from drawn_grids import grid_signal_of

from ecg_flare.digitize.measure.correlation import Correlation, correlate


def test_a_grid_repeats_at_each_millimetre_and_more_at_every_fifth() -> None:
    found = correlate(grid_signal_of(6.0, 6.0), 6.0)

    assert found.at(0.0) == pytest.approx(1.0)
    assert found.at(30.0) > found.at(6.0) > found.at(3.0) + 0.2
    lag, height = found.peak_near(29.0, 4.0)
    assert lag == pytest.approx(30.0, abs=0.02)
    assert height == pytest.approx(found.at(30.0), abs=0.01)


def test_beyond_the_longest_lag_nothing_is_known() -> None:
    found = correlate(grid_signal_of(6.0, 6.0), 6.0)

    assert math.isnan(found.at(701.0))  # 0.7 of 1000 pixels
    assert math.isnan(found.peak_near(900.0, 3.0)[1])


def test_a_peak_between_samples_is_found_by_a_parabola() -> None:
    lags = np.arange(80) / 8
    parabola = Correlation(1.0 - (lags - 4.3) ** 2 / 50, length_px=100, period_px=4.3)

    assert parabola.peak_near(4.0, 1.0) == pytest.approx((4.3, 1.0), abs=1e-3)
