"""A made-up run of three rounds at three sites, with figures that can be checked by hand."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from compare_runs import Runs

from flat_terms import flat_terms

TERMS = {
    "weights": {"site-1": 1.0, "site-2": 1.0, "site-10": 2.0},
    "rounds": 3,
    "min_sites": 3,
    "plan": "tiny",
    "clipping_norm": 0.5,
    "noise_multiplier": 5.0,
    "delta": 1e-5,
    "epsilon_budget": 8.0,
}


def round_line(number: int, **changes: Any) -> dict[str, Any]:
    trained = number > 0
    return {
        "round": number,
        "dice": [0.5, 0.7, 0.9, 0.8][number],
        "update_norm": 0.25 if trained else 0.0,
        "answered": ["site-1", "site-2", "site-10"] if trained else [],
        "missing": [],
        "bytes_down": 3_000_000 if trained else 0,
        "bytes_up": 1_500_000 if trained else 0,
        "epsilon_rdp": float(number),
        "epsilon_prv": 0.9 * number,
        "seconds_by_step": {"train": 10.0, "aggregate": 1.0, "evaluate": 2.0} if trained else {"evaluate": 2.0},
        "seconds": 13.0 if trained else 2.0,
        "site_metrics": {},
    } | changes


WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """write_run(lines=[...], terms={...}, facts={...}) -> the simulator's workspace of the run."""

    def write(
        lines: list[dict[str, Any]] | None = None,
        terms: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
        workspace: str = "workspace",
    ) -> Path:
        folder = tmp_path / workspace / "server" / "simulate_job" / "ecg_flare"
        folder.mkdir(parents=True)
        run = {
            "job": "fedadam_dp",
            "version": "0.1.0",
            "aggregator": "FedAdam",
            "terms": asdict(flat_terms(**(TERMS | (terms or {})))),
        }
        (folder / "run.json").write_text(json.dumps(run | (facts or {})))
        rounds = [round_line(number) for number in range(4)] if lines is None else lines
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rounds))
        return tmp_path / workspace

    return write


@pytest.fixture
def report_line() -> Callable[..., dict[str, Any]]:
    """report_line(number, **changes) -> one line of metrics.jsonl as a dict."""
    return round_line


@pytest.fixture
def runs(write_run: WriteRun, report_line: Callable[..., dict[str, Any]]) -> Runs:
    """Writes and reads runs to compare."""
    return Runs(write_run, report_line)
