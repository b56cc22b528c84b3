"""The digitization benchmark counts what is wrong and sure of itself, and says how much that proves."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.digitization.certainty import calibration_curve, confidence_report, upper_bound
from benchmarks.digitization.judging import Print, judge
from benchmarks.digitization.readings import Reading, Task, complete, kept
from benchmarks.digitization.table import summarize, worst

from benchmarks import kept_readings
from ecg_flare.ecg.leads import LEADS
from ecg_flare.errors import StorageError

TRUE = Print("3x4", 25.0, 10.0, 10.0, LEADS)


def reading(index: int, snr_db: float, confidence: float, found: Print | None = TRUE) -> Reading:
    return Reading(
        task=Task("clean-200", "bundled", 1, index),
        kind="usual" if index % 2 == 0 else "bars",
        snr_db=snr_db,
        pcc=0.9,
        ceiling_db=30.0 if index else 14.0,
        peer_db=None,
        confidence=confidence,
        true=TRUE,
        found=found,
        verdict=None if found is None else judge(found, TRUE, {}),
        mistaken={},
        warnings=(),
        seconds={"all": 2.0},
        error="PageError: no grid" if found is None else None,
    )


READINGS = (
    reading(0, 24.0, 0.99),
    reading(1, 3.0, 0.80, replace(TRUE, layout="6x2")),
    reading(2, 5.0, 0.60, replace(TRUE, speed_mm_per_s=50.0)),
    reading(3, 0.0, 0.0, None),
    reading(4, 20.0, 0.75, replace(TRUE, gain_mm_per_mv=10.2, chest_gain_mm_per_mv=10.2)),
)


@pytest.mark.parametrize("trials", [1, 30, 1000])
def test_the_bound_without_errors_is_the_rule_of_three(trials: int) -> None:
    assert upper_bound(0, trials) == pytest.approx(1 - 0.05 ** (1 / trials))


def test_the_bound_of_nothing_but_errors_is_one() -> None:
    assert upper_bound(7, 7) == 1.0
    assert upper_bound(0, 0) == 1.0


def test_what_is_wrong_and_sure_is_named() -> None:
    report = confidence_report(READINGS)

    assert "5 pages: 2 of the right layout, speed, gain and lead names, 1 refused." in report
    assert "3 confident (60.0%), 1 of them wrong." in report
    assert "wrong of the confident: layout 1, speed 0, gain 0, lead names 0, 15 dB 1 (of which 0" in report
    assert "| bars | 2 | 0.0% | 0.0% | 1 | 1 |" in report
    assert "| usual | 3 | 66.7% | 66.7% | 2 | 0 |" in report
    assert report.count("clean-200/") == 1
    assert "clean-200/1 (bars): layout, 15 dB: " in report


def test_a_signal_below_15_db_is_an_error_whatever_a_perfect_trace_reaches() -> None:
    low = reading(0, 13.0, 0.9)
    assert (low.right, low.wrong) == (True, ("15 dB",))
    assert "1 of them wrong" in confidence_report([low])
    assert "15 dB 1 (of which 1 where a perfect trace stays below, too)" in confidence_report([low])


@pytest.mark.parametrize("one", [reading(0, 0.0, 0.0, None), reading(0, 3.0, 0.7, replace(TRUE, layout="6x2"))])
def test_a_page_that_was_refused_or_withheld_is_not_wrong(one: Reading) -> None:
    assert "0 confident (0.0%), 0 of them wrong" in confidence_report([one])


def test_the_curve_has_the_share_of_right_pages_at_each_confidence() -> None:
    lines = calibration_curve(READINGS)

    assert "| 0.5 to 0.75 | 2 | 50.0% | 50.0% |" in lines
    assert "| 0.75 to 0.85 | 1 | 0.0% | 0.0% |" in lines
    assert "| 0.85 to 0.95 | 0 | - | - |" in lines
    assert "| 0.95 to 1 | 1 | 100.0% | 100.0% |" in lines
    assert lines[-1] == "above 0.95: 1 pages, 100.0% of them reach 15 dB"


def test_a_row_counts_refused_pages_as_nothing_read() -> None:
    row = summarize(READINGS)

    assert (row.pages, row.read, row.right, row.confident, row.wrong_unwarned) == (5, 4, 2, 3, 1)
    assert row.snr_db == 5.0
    assert [one.task.index for one in worst(READINGS)] == [3, 1, 2, 4, 0]


def test_a_file_keeps_every_reading(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    for reading in READINGS:
        kept(path).add(reading)
    file = kept(path)
    tasks = [one.task for one in READINGS]

    assert list(complete(file, tasks, tmp_path, jobs=2)) == []  # nothing is left to read
    assert [file[task] for task in tasks] == list(READINGS)


def test_a_file_of_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "readings.jsonl"
    with monkeypatch.context() as before:
        before.setattr(kept_readings, "reader_version", lambda: "0.9+0123")
        kept(path).add(READINGS[0])

    with pytest.raises(StorageError, match=r"readings\.jsonl was read by 0\.9\+0123, and this is .*: name a new file"):
        kept(path)

    path.write_text('{"reader": "x", "task": 3}\n')
    with pytest.raises(StorageError, match="has a line that is no reading"):
        kept(path)
