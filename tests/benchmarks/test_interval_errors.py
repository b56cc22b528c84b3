"""Errors of intervals, counted by hand, and pairs that go on where a run was ended."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from benchmarks.intervals import pairs as pairs_module
from benchmarks.intervals.bland_altman import draw
from benchmarks.intervals.errors import differences, errors, table
from benchmarks.intervals.pairs import Pair, Task, complete

from ecg_flare.ecg.intervals.intervals import QUANTITIES
from ecg_flare.errors import StorageError


def pair(index: int, page: float | None, whole: float | None, confidence: float = 0.9, name: str = "qt_ms") -> Pair:
    nothing = dict.fromkeys(QUANTITIES)
    printed = None if page is None else page + 3 * (index % 2)
    sides = [{**nothing, name: value} for value in (page, printed, whole)]
    return Pair(Task("scan", 1, index), "3x4", confidence, *sides)


def test_errors_are_those_of_pages_that_have_both() -> None:
    found = errors([pair(0, 410, 400), pair(1, 380, 400), pair(2, None, 400), pair(3, 400, None)], "qt_ms")
    assert (found.both, found.missed, found.invented) == (2, 1, 1)
    assert found.mean == pytest.approx(-5)
    assert found.sd == pytest.approx(15 * 2**0.5)
    assert found.median == pytest.approx(15)
    assert found.read_sd == pytest.approx(3**0.5)  # of 0, -3, -3


def test_an_axis_goes_round() -> None:
    _, apart = differences([pair(0, -175, 178, name="axis_deg")], "axis_deg")
    assert apart.tolist() == [7]


def test_the_table_has_pages_read_with_confidence_alone() -> None:
    lines = table([pair(0, 410, 400), pair(1, 900, 400, confidence=0.7)]).splitlines()
    assert [line for line in lines if "QT, ms" in line] == [
        "| scan | QT, ms | 1 | 10.0 | nan | 10.0 | 10.0 | nan | 0 | 0 |"
    ]


def test_a_run_goes_on_where_it_was_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def measure(task: Task, data: Path) -> Pair:
        measured.append(task.index)
        return pair(task.index, 410, 400)

    monkeypatch.setattr(pairs_module, "measure_pair", measure)
    tasks = [Task("scan", 1, index) for index in range(3)]
    first = list(complete(tasks[:2], tmp_path, tmp_path / "pairs.jsonl"))
    assert list(complete(tasks, tmp_path, tmp_path / "pairs.jsonl"))[:2] == first
    assert measured == [0, 1, 2]
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"task": {}}) + "\n")
    with pytest.raises(StorageError, match="no reading"):
        list(complete(tasks, tmp_path, tmp_path / "pairs.jsonl"))


def test_the_picture_is_the_same_when_it_is_drawn_again(tmp_path: Path) -> None:
    pairs = [pair(index, 400 + index, 400) for index in range(4)]
    for name in ("a.svg", "b.svg"):
        draw(pairs, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    ET.parse(tmp_path / "a.svg")
