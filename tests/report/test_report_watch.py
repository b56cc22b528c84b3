"""A run while it runs, from its files."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ecg_flare.cli import main
from ecg_flare.errors import ConfigError
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import write_job
from ecg_flare.report.run import find_run
from ecg_flare.report.watch import look, watch_json, watch_lines

WriteRun = Callable[..., Path]
ReportLine = Callable[..., dict[str, Any]]


def end(workspace: Path, outcome: str) -> None:
    (workspace / "server" / "simulate_job" / "ecg_flare" / "ended.json").write_text(json.dumps({"outcome": outcome}))


def write(path: Path, text: str, *, at: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def test_a_running_job_shows_rounds_sites_epsilon_bytes_and_phases(
    write_run: WriteRun, report_line: ReportLine
) -> None:
    lines = [report_line(0), report_line(1), report_line(2, missing=["site-10"], answered=["site-1", "site-2"])]
    watched = look(write_run(lines))
    assert watched.state == "running"
    text = "\n".join(watch_lines(watched))
    assert "round 2 of 3" in text
    assert "epsilon 2.00 of 8 at delta 1e-05" in text
    assert "2/3" in text
    assert "without site-10" in text
    assert "3.00 MB" in text
    assert "train 10.0, aggregate 1.0, evaluate 2.0" in text
    assert "round 3 is under way" in text
    assert "rounds took 13.0 s" in text


def test_a_lost_round_says_why(write_run: WriteRun, report_line: ReportLine) -> None:
    lines = [report_line(0), report_line(1, failure="too few answered", answered=[], missing=["site-1"])]
    text = "\n".join(watch_lines(look(write_run(lines))))
    assert "failed" in text
    assert "too few answered" in text


def test_json_has_the_figures_by_name(write_run: WriteRun) -> None:
    workspace = write_run()
    end(workspace, "finished")
    told = watch_json(look(workspace))
    assert (told["state"], told["outcome"], told["rounds_done"], told["rounds_planned"]) == ("ended", "finished", 3, 3)
    assert told["rounds"][1] == {
        "round": 1,
        "dice": 0.7,
        "measures": {},
        "failure": "",
        "answered": ["site-1", "site-2", "site-10"],
        "missing": [],
        "epsilon": 1.0,
        "bytes_down": 3_000_000,
        "bytes_up": 1_500_000,
        "seconds_by_phase": {"train": 10.0, "aggregate": 1.0, "evaluate": 2.0},
    }


def test_before_the_first_figures_it_waits(tmp_path: Path, write_run: WriteRun) -> None:
    assert look(tmp_path).state == "waiting"
    assert look(write_run(lines=[])).state == "waiting"
    with pytest.raises(ConfigError, match="no folder"):
        look(tmp_path / "mistyped")


def test_of_several_runs_one_must_be_named(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(workspace="a")
    write_run(workspace="b")
    with pytest.raises(ConfigError, match="2 runs"):
        look(tmp_path)


@pytest.mark.parametrize(("outcome", "code"), [("finished", 0), ("round 2 has updates of 1 sites", 3)])
def test_the_command_ends_with_the_job(write_run: WriteRun, outcome: str, code: int) -> None:
    workspace = write_run()
    end(workspace, outcome)
    done = CliRunner().invoke(main, ["watch", str(workspace)])
    assert done.exit_code == code
    assert f"ended: {outcome}" in done.stdout


def test_each_change_is_a_line_of_json(
    write_run: WriteRun, report_line: ReportLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = write_run([report_line(0)])
    metrics = workspace / "server" / "simulate_job" / "ecg_flare" / "metrics.jsonl"
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            metrics.write_text(metrics.read_text() + json.dumps(report_line(1)) + "\n")
        if len(naps) == 3:
            end(workspace, "finished")

    monkeypatch.setattr("time.sleep", nap)
    done = CliRunner().invoke(main, ["watch", str(workspace), "--json", "--every", "7"])
    assert done.exit_code == 0
    assert [(told["state"], told["rounds_done"]) for told in map(json.loads, done.stdout.splitlines())] == [
        ("running", 0),
        ("running", 1),
        ("ended", 1),
    ]
    assert naps == [7.0] * 3


def test_a_look_once_does_not_wait(write_run: WriteRun) -> None:
    done = CliRunner().invoke(main, ["watch", str(write_run()), "--once", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["state"] == "running"


def test_a_jobs_configuration_is_no_run(tmp_path: Path) -> None:
    job = tmp_path / "fedavg"
    write_job(replace(BUNDLED["fedavg"], custom=False), tmp_path)
    with pytest.raises(ConfigError, match="fedavg is a job's configuration and not a run"):
        look(job)
    told = CliRunner().invoke(main, ["report", str(job), "--no-pages"])
    assert (told.exit_code, "a job's configuration and not a run" in told.stderr) == (1, True)


def test_a_servers_folder_of_a_job_that_starts_is_waited_for(tmp_path: Path) -> None:
    write_job(replace(BUNDLED["fedavg"], custom=False), tmp_path)
    job = tmp_path / "fedavg"
    (job / "app").rename(job / "app_server")
    watched = look(job)
    assert watched.state == "waiting"
    assert watch_lines(watched)[0].startswith(f"waiting for metrics.jsonl in {job}")


def test_a_job_that_ended_before_its_first_figures_says_why(tmp_path: Path) -> None:
    end_in = tmp_path / "server" / "simulate_job" / "ecg_flare"
    end_in.mkdir(parents=True)
    end(tmp_path, "too few sites answered")
    watched = look(tmp_path)
    assert (watched.state, watched.outcome, watched.finished) == ("ended", "too few sites answered", False)
    assert watch_lines(watched) == ["ended before the first figures: too few sites answered"]
    told = CliRunner().invoke(main, ["watch", str(tmp_path)])
    assert told.exit_code == 3
    with pytest.raises(ConfigError, match="ended before its first evaluation: too few sites answered"):
        find_run(tmp_path)


@pytest.mark.parametrize("told", ["app_server/config/config_fed_server.json", "ecg_flare/run.json"])
def test_an_older_job_that_was_aborted_does_not_end_the_watch_of_a_new_one(tmp_path: Path, told: str) -> None:
    older, newer = (tmp_path / job for job in ("5f0c", "9a1e"))
    config = "app_server/config/config_fed_server.json"
    write(older / config, "{}", at=1000)
    write(older / "ecg_flare" / "ended.json", json.dumps({"outcome": "aborted"}), at=2000)
    write(older / "ecg_flare" / "run.json", "{}", at=2001)  # copied after it: of the same job all the same
    assert look(tmp_path).outcome == "aborted"
    write(newer / told, "{}", at=1500)  # begun before the older one ended
    assert look(tmp_path).outcome == "aborted"
    write(newer / told, "{}", at=3000)
    assert (look(tmp_path).state, look(tmp_path).outcome) == ("waiting", "")
    assert look(older).outcome == "aborted"
    with pytest.raises(ConfigError, match=r"holds no metrics\.jsonl"):
        find_run(tmp_path)


def test_the_report_of_an_aborted_run_says_so_and_after_which_round(
    write_run: WriteRun, report_line: ReportLine
) -> None:
    workspace = write_run([report_line(0), report_line(1)])
    why = "The job was aborted after round 1, whose model is kept."
    end(workspace, why)
    told = CliRunner().invoke(main, ["report", str(workspace), "--no-pages"])
    assert f"ended:  after round 1 of 3: {why}" in told.stdout
    page = (workspace / "server" / "simulate_job" / "ecg_flare" / "report.html").read_text()
    assert f"The job ended after round 1 of 3: {why}" in page
    as_json = CliRunner().invoke(main, ["report", str(workspace), "--no-pages", "--json"])
    assert json.loads(as_json.stdout)["outcome"] == why
