"""Lengths that a column can have: twentieths of the whole, and eighths."""

import pytest

from ecg_flare.digitize.leads.time_steps import WITH_EIGHTHS, nearest_time_step


@pytest.mark.parametrize(("length", "nearest"), [(10.0, 10.0), (9.8, 10.0), (9.7, 9.5), (7.6, 7.5), (0.2, 0.0)])
def test_ten_seconds_are_shortened_by_half_a_second_at_a_time(length: float, nearest: float) -> None:
    assert nearest_time_step(length, 10.0) == pytest.approx(nearest)


@pytest.mark.parametrize(("length", "nearest"), [(10.0, 10.0), (3.77, 3.75), (3.6, 3.5), (6.2, 6.25), (8.81, 8.75)])
def test_or_by_an_eighth(length: float, nearest: float) -> None:
    assert nearest_time_step(length, 10.0, WITH_EIGHTHS) == pytest.approx(nearest)
