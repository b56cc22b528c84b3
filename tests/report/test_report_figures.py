"""Numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.report.figures import (
    bytes_text,
    natural_key,
    scientific,
    seconds_text,
    significant,
    ticks,
    whole_ticks,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (485_672, "486 kB"), (1_234_567, "1.23 MB"), (2e12, "2.00 TB")],
)
def test_bytes(count: float, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.24, "8.24 s"), (59.9, "59.9 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.123456, "0.123"), (12.345, "12.3"), (123456, "123456"), (1e7, "1.00e+07"), (math.inf, "∞")],
)
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(("value", "text"), [(1e-5, "10⁻⁵"), (2.5e-6, "2.5×10⁻⁶"), (0.01, "0.01")])
def test_scientific(value: float, text: str) -> None:
    assert scientific(value) == text


def test_numbers_in_names_count_as_numbers() -> None:
    assert sorted(["site-10", "site-9", "clinic", "site-1"], key=natural_key) == [
        "clinic",
        "site-1",
        "site-9",
        "site-10",
    ]


def test_ticks_of_the_unit_interval() -> None:
    assert ticks(0, 1) == (0, 0.5, 1.0)
    assert ticks(0.53, 0.91) == (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_embrace_the_data_and_stay_few(low: float, span: float) -> None:
    marks = ticks(low, low + span)
    slack = 1e-6 * (abs(low) + span)
    assert marks[0] <= low + slack
    assert marks[-1] >= low + span - slack
    assert 2 <= len(marks) <= 7


def test_ticks_of_a_constant_are_around_it() -> None:
    marks = ticks(0.8, 0.8)
    assert marks[0] < 0.8 < marks[-1]


@given(low=st.integers(0, 5), rounds=st.integers(0, 2000), count=st.integers(2, 12))
def test_whole_ticks_are_whole_within_and_few(low: int, rounds: int, count: int) -> None:
    marks = whole_ticks(low, low + rounds, count)
    assert all(isinstance(mark, int) and low <= mark <= low + rounds for mark in marks)
    assert 1 <= len(marks) <= count + 1


def test_few_rounds_are_all_marked() -> None:
    assert whole_ticks(1, 4) == (1, 2, 3, 4)
    assert whole_ticks(1, 4, 2) == (2, 4)
    assert whole_ticks(1, 100) == (20, 40, 60, 80, 100)


def test_numbers_of_any_length_are_in_order() -> None:
    long, longer = "site-" + "8" * 5000, "site-1" + "0" * 5000
    assert sorted([longer, long, "site-007", "site-8"], key=natural_key) == ["site-007", "site-8", long, longer]
