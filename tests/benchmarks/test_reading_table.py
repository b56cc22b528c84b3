"""The digitization benchmark counts what is wrong and sure of itself, and says how much that proves."""

import sys
from pathlib import Path

import pytest

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.digitization.readings import Print, Reading, Task
from benchmarks.digitization.table import confidence_report, summarize, upper_bound, worst

TRUE = Print("3x4", 25.0, 10.0)


def reading(index: int, snr_db: float, confidence: float, found: Print | None = TRUE) -> Reading:
    error = "PageError: no grid" if found is None else None
    task = Task("clean-200", "bundled", 1, index)
    return Reading(task, snr_db, 0.9, 30.0, None, confidence, TRUE, found, (), {"all": 2.0}, error)


READINGS = (
    reading(0, 24.0, 0.99),
    reading(1, 3.0, 0.80, Print("6x2", 25.0, 10.0)),
    reading(2, 5.0, 0.60, Print("3x4", 50.0, 10.0)),
    reading(3, 0.0, 0.0, None),
    reading(4, 20.0, 0.75, Print("3x4", 25.0, 10.2)),
)


@pytest.mark.parametrize("trials", [1, 30, 1000])
def test_the_bound_without_errors_is_the_rule_of_three(trials: int) -> None:
    assert upper_bound(0, trials) == pytest.approx(1 - 0.05 ** (1 / trials))


def test_the_bound_of_nothing_but_errors_is_one() -> None:
    assert upper_bound(7, 7) == 1.0
    assert upper_bound(0, 0) == 1.0


def test_what_is_wrong_and_sure_is_named() -> None:
    report = confidence_report(READINGS)

    assert "5 pages: 2 of the right layout, speed and gain, 1 refused." in report
    assert "3 confident, 1 of them wrong." in report
    assert report.count("clean-200/") == 1
    assert "clean-200/1" in report


def test_a_row_counts_refused_pages_as_nothing_read() -> None:
    row = summarize(READINGS)

    assert (row.pages, row.read, row.right, row.confident, row.wrong_unwarned) == (5, 4, 2, 3, 1)
    assert row.snr_db == 5.0
    assert [one.task.index for one in worst(READINGS)] == [3, 1, 2, 4, 0]
