"""What became of a batch: counted by hand."""

from pathlib import Path

import pytest

from ecg_flare.digitize.files.summary import ALL_READ, SOME_FAILED, BatchSummary, PageOutcome
from ecg_flare.ecg.intervals.intervals import Intervals
from ecg_flare.page.page_list import LeftOut


def outcome(name: str, confidence: float | None) -> PageOutcome:
    if confidence is None:
        return PageOutcome(f"{name}.png", 2, name, 0.5, error="it is empty")
    return PageOutcome(f"{name}.png", 1, name, 1.23456, report={"confidence": confidence})


def test_pages_are_counted_by_what_became_of_them() -> None:
    summary = BatchSummary((outcome("a", 0.75), outcome("b", 0.74), outcome("c", None)), Path("out/report.html"))
    assert (summary.n_failed, summary.n_unsure, summary.exit_code) == (1, 1, SOME_FAILED)
    assert summary.to_text().splitlines() == [
        "2 of 3 pages read, 1 of them with less than 75% confidence.",
        "  not read: c.png (page 2): it is empty",
        "Report: out/report.html",
    ]
    told = summary.to_json()
    assert (told["pages"], told["failed"], told["unsure"], told["exit_code"]) == (3, 1, 1, 3)
    assert told["results"][0]["seconds"] == pytest.approx(1.235)
    assert told["results"][2]["report"] is None


def test_what_was_left_out_is_told() -> None:
    hidden, photo = LeftOut(Path("in/.x"), "is hidden"), LeftOut(Path("in/a.heic"), "is HEIC", is_picture=True)
    summary = BatchSummary((outcome("a", 0.9),), left_out=(hidden, photo))
    assert summary.to_text().splitlines()[1:] == ["  left out: .x is hidden", "  left out: a.heic is HEIC"]
    assert summary.to_json()["left_out"][1] == {"source": "in/a.heic", "why": "is HEIC"}
    assert summary.exit_code == SOME_FAILED
    assert BatchSummary((outcome("a", 0.9),), left_out=(hidden,)).exit_code == ALL_READ


def test_a_batch_of_pages_that_were_read_is_no_failure() -> None:
    assert BatchSummary((outcome("a", 0.1),)).exit_code == ALL_READ


def test_intervals_are_told_of_pages_whose_recording_was_written() -> None:
    measured = Intervals(heart_rate_bpm=61.4, qrs_ms=88.0, not_measured={"pr_ms": "no P wave"}).to_json()
    written = {"confidence": 0.9, "recording": {"reason": None}, "intervals": {**measured, "doubts": ["a fold"]}}
    withheld = {**written, "recording": {"reason": "too faint"}}
    pages = tuple(
        PageOutcome(f"{name}.png", 1, name, 0.1, report=report)
        for name, report in zip("ab", (written, withheld), strict=True)
    )
    told = [line for line in BatchSummary(pages).to_text().splitlines() if "Heart rate" in line]
    assert len(told) == 1
    assert told[0].startswith("  a: Heart rate 61 /min, PR not measured, QRS 88 ms, QT not measured")
    assert told[0].endswith("; doubtful: a fold")
