"""The command `compare`: what it prints and writes, and what it refuses."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from compare_runs import OTHER_PAGES, PATIENTS, Runs

from ecg_flare.cli import main


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    """command(run, ..., "--csv") -> its result; the page is out/compare.html."""

    def run(*arguments: object) -> Result:
        output = ["-o", str(tmp_path / "out" / "compare.html")]
        return CliRunner().invoke(main, ["compare", *map(str, arguments), *output])

    return run


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_a_table_and_the_pages_place_are_printed(command: Callable[..., Result], runs: Runs, tmp_path: Path) -> None:
    told = command(runs.write("a", [0.5, 0.8]), runs.write("b", [0.5, 0.6]))
    assert (told.exit_code, told.stderr) == (0, "")
    head, first, second, *_, last = told.stdout.splitlines()
    assert head.split()[:3] == ["run", "Dice", "ratio"]
    assert first.split()[:4] == ["a", "(reference)", "0.8000", "1.0000"]
    assert second.split()[:3] == ["b", "0.6000", "0.7500"]
    assert last == f"report: {tmp_path / 'out' / 'compare.html'}"
    assert (tmp_path / "out" / "compare.html").read_text().startswith("<!doctype html>")


def test_labels_name_runs_and_the_reference(command: Callable[..., Result], runs: Runs) -> None:
    told = command(f"First={runs.write('a')}", f"Second={runs.write('b')}", "--reference", "Second", "--json")
    assert told.exit_code == 0
    found = json.loads(told.stdout)
    assert found["reference"] == "Second"
    assert [(each["name"], each["job"]) for each in found["runs"]] == [("First", "a"), ("Second", "b")]


def test_a_folder_whose_name_has_an_equals_sign_is_a_folder(command: Callable[..., Result], runs: Runs) -> None:
    told = command(runs.write("lr=0.1"), runs.write("b"), "--json")
    assert {each["name"] for each in json.loads(told.stdout)["runs"]} == {"lr=0.1", "b"}


def test_json_says_what_the_page_says(command: Callable[..., Result], runs: Runs) -> None:
    other = runs.write("b", lines={3: {"pages": OTHER_PAGES}}, terms=PATIENTS)
    told = json.loads(command(runs.write("a"), other, "--json").stdout)
    a, b = told["runs"]
    assert (a["ratio"], a["dice"], a["steps_in_a_row"], a["steps_of_all"], a["epsilon"]) == (1.0, 0.8, 30, 90, None)
    assert (b["ratio"], b["epsilon"]) == (None, {"value": 3.0, "delta": 1e-3, "unit": "patient", "hides": True})
    assert a["curve"][1] == {"round": 1, "dice": 0.7, "steps_in_a_row": 10}
    assert any("other public pages" in each for each in told["cautions"])
    assert told["epsilons_comparable"]


def test_csv_comes_back_as_it_was(command: Callable[..., Result], runs: Runs, tmp_path: Path) -> None:
    dice = [0.1 + 0.2, 1 / 3, 2 / 3]
    told = command(runs.write("a", dice), runs.write("b", dice, terms=PATIENTS, steps=2), "--csv")
    assert told.exit_code == 0
    rounds = read_csv(tmp_path / "out" / "compare.rounds.csv")
    assert [(each["run"], int(each["round"]), float(each["dice"])) for each in rounds] == [
        (run, index, value) for run in "ab" for index, value in enumerate(dice)
    ]
    last = rounds[-1]
    assert (last["steps_in_a_row"], float(last["steps_of_all"]), last["unit"]) == ("4", 40.0, "patient")
    assert (float(last["epsilon_rdp"]), float(last["delta"])) == (2.0, 1e-3)
    assert (rounds[1]["epsilon_rdp"], rounds[1]["unit"]) == ("", "")
    table = read_csv(tmp_path / "out" / "compare.table.csv")
    assert [(each["run"], float(each["dice"]), float(each["ratio"])) for each in table] == [
        ("a", 2 / 3, 1.0),
        ("b", 2 / 3, 1.0),
    ]


def test_repeats_are_told_by_method_and_by_run(command: Callable[..., Result], runs: Runs, tmp_path: Path) -> None:
    given = [f"A={runs.write(name, [0.5, dice])}" for name, dice in (("s0", 0.4), ("s1", 0.6))]
    told = command(runs.write("b", [0.5, 0.5]), *given, "--csv")
    assert [line.split()[:3] for line in told.stdout.split("\n\n")[0].splitlines()][1:] == [
        ["b", "(reference)", "1"],
        ["A", "2", "0.5000"],
    ]
    rounds = read_csv(tmp_path / "out" / "compare.rounds.csv")
    assert {(each["run"], each["method"]) for each in rounds} == {("b", "b"), ("A (s0)", "A"), ("A (s1)", "A")}


def test_cautions_are_told_on_stderr(command: Callable[..., Result], runs: Runs) -> None:
    told = command(runs.write("a"), runs.write("b", steps=None))
    assert told.stderr.startswith("Caution: How many gradient steps a round has is not recorded for b")


def test_one_run_alone_is_wrong_use(command: Callable[..., Result], runs: Runs) -> None:
    alone = runs.write("a")
    told = command(alone)
    assert told.exit_code == 2
    assert f"expected two runs or more, found {str(alone)!r} alone" in " ".join(told.stderr.split())
    assert command().exit_code == 2


def _no_run(folder: Path, runs: Runs) -> Any:
    (folder / "empty").mkdir()
    return folder / "empty"


def _without_metrics(folder: Path, runs: Runs) -> Any:
    workspace = runs.write("gone")
    (runs.folder(workspace) / "metrics.jsonl").unlink()
    (runs.folder(workspace) / "ended.json").write_text('{"outcome": "too few sites"}')
    return workspace


def _bad_training(folder: Path, runs: Runs) -> Any:
    return runs.write("bad", training={"steps": -1})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_no_run, "empty holds no metrics.jsonl"),
        (_without_metrics, "ended before its first evaluation: too few sites"),
        (lambda folder, runs: folder / "nowhere", "nowhere is no folder"),
        (lambda folder, runs: f"X={folder / 'nowhere'}", "nowhere is no folder"),
        (lambda folder, runs: folder / "a", "is given 2 times"),
        (_bad_training, "steps must be a whole number from 1 to 1000000000. Found -1"),
    ],
)
def test_bad_runs_are_named_in_one_line(
    command: Callable[..., Result], runs: Runs, tmp_path: Path, make: Callable[..., Any], said: str
) -> None:
    told = command(runs.write("a"), make(tmp_path, runs))
    assert (told.exit_code, told.stdout) == (1, "")
    assert said in told.stderr
    assert told.stderr.startswith("Error: ")


def test_a_reference_that_is_not_among_the_runs_is_named(command: Callable[..., Result], runs: Runs) -> None:
    told = command(runs.write("a"), runs.write("b"), "--reference", "nobody")
    assert told.exit_code == 1
    assert "the reference 'nobody' is none of the runs: a, b" in told.stderr


def test_runs_of_the_same_job_are_told_apart(command: Callable[..., Result], runs: Runs) -> None:
    told = command(runs.write("one", job="fed"), runs.write("two", job="fed"))
    assert told.exit_code == 0
    assert "2 runs are called 'fed': they stand as fed (one) and fed (two)." in told.stderr


def test_nothing_is_written_where_something_is_refused(
    command: Callable[..., Result], runs: Runs, tmp_path: Path
) -> None:
    command(runs.write("a"), runs.write("b"), "--reference", "nobody")
    assert not (tmp_path / "out").exists()
