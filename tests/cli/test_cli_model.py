"""export, pretrain, report and jobs, as a user runs them."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from ecg_flare.federated.parts import Roster
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.export import load_model, save_model
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector, parameter_layout
from ecg_flare.storage import write_arrays

RunCli = Callable[..., Result]


@pytest.fixture
def model_run(tmp_path: Path) -> Path:
    """A run whose last model is drawn from seed 1 and whose best from seed 2."""
    plan = plan_preset("tiny")
    folder = tmp_path / "run" / "server" / "simulate_job" / "ecg_flare"
    for name, seed in (("state.npz", 1), ("best.npz", 2)):
        write_arrays(folder / name, {"model": initial_vector(plan, seed)})
    terms = asdict(JobTerms(Roster({"site-1": 1.0}, min_sites=1)))
    (folder / "run.json").write_text(json.dumps({"job": "fedavg", "plan_hash": plan.hash, "terms": terms}))
    (folder / "metrics.jsonl").write_text('{"round": 0, "dice": 0.5}\n{"round": 1, "dice": 0.25}\n')
    return tmp_path / "run"


def _first_weight(folder: Path) -> np.ndarray:
    import torch

    checkpoint = torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=True)
    return np.asarray(checkpoint["network_weights"][parameter_layout(plan_preset("tiny"))[0][0]])


@pytest.mark.parametrize(("options", "seed"), [((), 1), (("--best",), 2)])
def test_the_last_or_the_best_model_of_a_run_is_exported(
    run_cli: RunCli, model_run: Path, tmp_path: Path, options: tuple[str, ...], seed: int
) -> None:
    told = run_cli("export", model_run, "-o", tmp_path / "model", *options)
    assert told.exit_code == 0, told.output
    plan = plan_preset("tiny")
    _, shape = parameter_layout(plan)[0]
    expected = initial_vector(plan, seed)[: np.prod(shape)].reshape(shape)
    assert np.array_equal(_first_weight(tmp_path / "model"), expected)


def test_a_model_file_is_exported(run_cli: RunCli, tmp_path: Path) -> None:
    plan = plan_preset("tiny")
    save_model(tmp_path / "m.npz", initial_vector(plan, 3), plan)
    told = run_cli("export", tmp_path / "m.npz", "-o", tmp_path / "model")
    assert told.stdout == f"{tmp_path / 'model'}: plan tiny, 121,348 parameters\n"
    assert (tmp_path / "model" / "plans.json").exists()


def test_what_is_no_model_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_text("no model")
    told = run_cli("export", tmp_path / "m.npz", "-o", tmp_path / "model")
    assert (told.exit_code, "is no ecg_flare model" in told.stderr) == (1, True)
    assert run_cli("export", tmp_path / "m.npz", "-o", tmp_path / "model", "--best").exit_code == 2


def test_the_report_tells_where_things_lie(run_cli: RunCli, model_run: Path) -> None:
    told = json.loads(run_cli("report", model_run, "--no-pages", "--json").stdout)
    assert [each["dice"] for each in told["rounds"]] == [0.5, 0.25]
    assert told["best_round"] == 0
    assert Path(told["report"]) == model_run / "server" / "simulate_job" / "ecg_flare" / "report.html"
    assert Path(told["report"]).read_text().startswith("<!doctype html>")


def test_the_report_goes_where_it_is_told(run_cli: RunCli, model_run: Path, tmp_path: Path) -> None:
    told = run_cli("report", model_run, "-o", tmp_path / "deep" / "r.html", "--no-pages")
    assert "    1  0.2500" in told.stdout
    assert told.stdout.rstrip().endswith(f"report: {tmp_path / 'deep' / 'r.html'}")
    assert (tmp_path / "deep" / "r.html").exists()


@pytest.mark.slow
def test_pretraining_writes_a_model_with_its_recipe(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--pages", 4, "--steps", 2, "--seed", 7, "--cache", tmp_path / "cache")
    told = run_cli("pretrain", "-o", tmp_path / "m.npz", *options)
    assert told.exit_code == 0, told.output
    stored = load_model(tmp_path / "m.npz")
    assert stored.provenance["recipe"] == {"profile": "plain", "pages": 4, "steps": 2, "seed": 7, "start": None}
    assert not np.array_equal(stored.vector, initial_vector(stored.plan, 7))
