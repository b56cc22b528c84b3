"""Lengths that a column can have: twentieths and eighths of the whole."""

import pytest

from ecg_flare.digitize.leads.time_steps import nearest_time_step


@pytest.mark.parametrize(
    ("length", "nearest"),
    [(10.0, 10.0), (9.8, 10.0), (9.7, 9.5), (7.6, 7.5), (0.2, 0.0), (3.77, 3.75), (3.6, 3.5), (6.2, 6.25)],
)
def test_ten_seconds_are_shortened_by_half_a_second_or_an_eighth_at_a_time(length: float, nearest: float) -> None:
    assert nearest_time_step(length, 10.0) == pytest.approx(nearest)
