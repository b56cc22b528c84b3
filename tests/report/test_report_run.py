"""Reading a run back from its folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from ecg_flare.cli import main
from ecg_flare.errors import ConfigError
from ecg_flare.report.agreed import site_names
from ecg_flare.report.run import find_run, read_run

WriteRun = Callable[..., Path]


def test_a_run_is_found_from_the_workspace_the_job_and_the_folder_itself(write_run: WriteRun) -> None:
    workspace = write_run()
    folder = workspace / "server" / "simulate_job" / "ecg_flare"
    assert [find_run(start) for start in (workspace, folder.parent, folder)] == [folder] * 3


def test_rounds_come_back_as_written(write_run: WriteRun) -> None:
    run = read_run(write_run())
    assert [each.index for each in run.rounds] == [0, 1, 2, 3]
    assert [each.dice for each in run.rounds] == [0.5, 0.7, 0.9, 0.8]
    assert run.rounds[1].seconds == 13.0
    assert run.rounds[1].answered == ("site-1", "site-2", "site-10")
    assert (run.start, run.final, run.best) == (run.rounds[0], run.rounds[3], run.rounds[2])


def test_sites_are_ordered_as_people_number_them(write_run: WriteRun) -> None:
    assert site_names(read_run(write_run()).terms) == ("site-1", "site-2", "site-10")


def test_of_a_round_told_twice_the_later_counts(write_run: WriteRun, report_line: Callable[..., dict]) -> None:
    lines = [report_line(0), report_line(1, dice=0.1), report_line(1, dice=0.6)]
    assert [each.dice for each in read_run(write_run(lines)).rounds] == [0.5, 0.6]


def test_the_earliest_of_equal_rounds_is_the_best(write_run: WriteRun, report_line: Callable[..., dict]) -> None:
    lines = [report_line(number, dice=0.7) for number in range(3)]
    assert read_run(write_run(lines)).best.index == 0


def test_the_clipped_fraction_counts_the_sites_that_told(write_run: WriteRun, report_line: Callable[..., dict]) -> None:
    told = {"site-1": {"clipped": 1.0}, "site-2": {"clipped": 0.0}, "site-10": {"loss": 0.3}}
    run = read_run(write_run([report_line(0), report_line(1, site_metrics=told)]))
    assert [each.clipped_fraction for each in run.rounds] == [None, 0.5]


def test_a_half_written_last_line_is_left_out_and_told(write_run: WriteRun) -> None:
    workspace = write_run()
    metrics = find_run(workspace) / "metrics.jsonl"
    metrics.write_text(metrics.read_text()[:-40])
    run = read_run(workspace)
    assert (run.cut_short, run.final.index) == (True, 2)


def test_a_damaged_line_within_is_refused_by_its_number(write_run: WriteRun) -> None:
    workspace = write_run()
    metrics = find_run(workspace) / "metrics.jsonl"
    lines = metrics.read_text().splitlines()
    metrics.write_text("\n".join([lines[0], lines[1][:-40], lines[2]]))
    with pytest.raises(ConfigError, match=r"Line 2 of .*metrics\.jsonl"):
        read_run(workspace)


def test_several_runs_are_listed_not_guessed(write_run: WriteRun, tmp_path: Path) -> None:
    write_run(workspace="one")
    write_run(workspace="two")
    with pytest.raises(ConfigError, match=r"holds 2 runs(.|\n)*one(.|\n)*two"):
        find_run(tmp_path)


@pytest.mark.parametrize("start", ["", "missing"])
def test_a_folder_without_a_run_is_refused(tmp_path: Path, start: str) -> None:
    with pytest.raises(ConfigError, match="give the folder of a run"):
        find_run(tmp_path / start)


def test_a_run_that_evaluated_nothing_is_refused(write_run: WriteRun) -> None:
    with pytest.raises(ConfigError, match="before its first evaluation"):
        read_run(write_run([]))


@pytest.mark.parametrize("text", ["", "[]", '{"job": "x"}', '{"terms": {"rounds": 1}}'])
def test_run_json_without_terms_is_refused(write_run: WriteRun, text: str) -> None:
    workspace = write_run()
    (find_run(workspace) / "run.json").write_text(text)
    with pytest.raises(ConfigError, match=r"run\.json"):
        read_run(workspace)


def test_an_old_run_whose_delta_promises_nothing_can_still_be_read(write_run: WriteRun) -> None:
    """Jobs of that kind are refused now; what earlier ones wrote down is read all the same."""
    patients = {"patients": 19_000, "patients_per_site": 8_000, "sampling_rate": 0.05, "delta": 1e-3}
    workspace = write_run(terms=patients)
    assert read_run(workspace).terms.units == 19_000
    for command in (["report", str(workspace), "--no-pages"], ["watch", str(workspace), "--once"]):
        told = CliRunner().invoke(main, command)
        assert (told.exit_code, told.stderr) == (0, "")
