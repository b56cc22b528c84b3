"""Whole jobs in FLARE's simulator: the same numbers as in memory, nothing in the clear, faults survived."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flare_runs import ENVIRONMENT, TOY_APP, Run, simulate, simulate_toy, simulator_command, toy_edit, toy_spec
from toy_app.toy_site import toy_update

from ecg_flare.errors import WorkerError
from ecg_flare.federated.optimizers import FedAdam, ServerOptimizer
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import JobSpec, Training
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.nnunet.settings import TrainingSettings
from ecg_flare.privacy.chain import witness_path
from ecg_flare.privacy.countersignature import auditor, check_on_ledger, read_countersignatures
from ecg_flare.privacy.ledger import verify
from ecg_flare.storage import read_arrays
from flat_terms import round_in_memory, varied

pytestmark = pytest.mark.slow

D = parameter_count(plan_preset("tiny"))
SITES = ("site-1", "site-2", "site-3")
FAILED = ("Traceback", "ERROR")


def model_of(run: Run, name: str = "state.npz") -> np.ndarray:
    return read_arrays(run.results / name)["model"]


def rounds_of(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.results / "metrics.jsonl").read_text().splitlines()]


def in_memory(
    model: np.ndarray,
    config: JobTerms,
    optimizer: ServerOptimizer,
    update: Callable[[str, np.ndarray, int], np.ndarray],
    rounds: int = 2,
) -> np.ndarray:
    state = optimizer.init(len(model))
    for index in range(rounds):
        sites = {site: lambda model, i, site=site: update(site, model, i) for site in config.weights}
        result = round_in_memory(model, state, sites, config, optimizer, round_index=index)
        model, state = result.model, result.state
    return model


def toy_model(spec: JobSpec, update: Callable[[str, np.ndarray, int], np.ndarray] = toy_update) -> np.ndarray:
    start = np.zeros(D, np.float32)
    return in_memory(start, spec.terms, FedAdam(learning_rate=0.1), update, spec.terms.rounds)


@pytest.mark.parametrize("clipping_norm", [None, 1.0])
def test_two_rounds_equal_the_rounds_in_memory(tmp_path: Path, clipping_norm: float | None) -> None:
    spec = toy_spec(clipping_norm=clipping_norm)
    run = simulate_toy(spec, tmp_path, threads=3)
    assert run.code == 0, run.log
    assert not [line for line in run.log.splitlines() if any(word in line for word in FAILED)]
    assert model_of(run) == pytest.approx(toy_model(spec), rel=1e-6)
    figures = rounds_of(run)
    assert [one["round"] for one in figures] == [0, 1, 2]
    assert figures[2]["answered"] == list(SITES)
    assert figures[2]["bytes_up"] == 3 * 4 * D
    assert "secret" not in str(figures[2]["site_metrics"]["site-1"])
    assert figures[2]["site_metrics"]["site-1"]["loss"] == 1.0


def test_a_masked_sum_gives_the_plain_jobs_model_up_to_quantization(tmp_path: Path) -> None:
    spec = toy_spec(summation="masked", min_sites=3, clipping_norm=1.0)
    ENVIRONMENT["TOY_SCAN"] = str(tmp_path / "scan.jsonl")
    run = simulate_toy(spec, tmp_path, threads=3, evaluator="ScanningEvaluator")
    assert run.code == 0, run.log
    assert not [line for line in run.log.splitlines() if any(word in line for word in FAILED)]
    assert "TEST MODE" in run.log
    exact = toy_model(spec)  # in fixed point, without masks
    assert np.array_equal(model_of(run), exact)
    plain = toy_model(replace(spec, terms=varied(spec.terms, summation="plain")))
    assert 0 < np.abs(exact - plain).max() <= _quantization_bound(spec.terms)
    for figures in rounds_of(run)[1:]:
        assert set(figures["seconds_by_step"]) >= {"sum_keys", "sum_shares", "train", "sum_consent", "sum_unmask"}
        assert figures["site_metrics"] == {}
    scans = [json.loads(line) for line in (tmp_path / "scan.jsonl").read_text().splitlines()]
    assert len(scans) == 2
    for scan in scans:
        assert scan.pop("the model") > 0  # the search works
        assert len(scan) == 12
        assert set(scan.values()) == {0}, f"a site's update stands in the server's memory: {scan}"
    assert not _files_with_an_update(run, exact), "a site's update stands in a file of the server"
    assert not list(run.workspace.rglob("*secrets*"))


def _quantization_bound(terms: JobTerms) -> float:
    """How far two rounds in fixed point may end from the same two in floats, by coordinate.

    Truncation moves the mean by C / S at most. FedAdam moves by at most learning_rate / tau times what its mean moved
    by, and the toy site's second update by a tenth of what the model moved by.
    """
    fixed = terms.fixed_encoding(D)
    assert fixed is not None
    steepness = 0.1 / 1e-3
    mean = fixed.clipping_norm / fixed.scale
    first = steepness * mean
    second = first + steepness * (mean + 0.1 * first)
    return second + 2**-24  # and float32


def _files_with_an_update(run: Run, model: np.ndarray) -> list[Path]:
    first = [toy_update(site, np.zeros_like(model), 0) for site in SITES]
    needles = [one[5000:5016].tobytes() for one in first]
    files = [path for path in (run.workspace / "server").rglob("*") if path.is_file()]
    assert any(model[5000:5016].tobytes() in path.read_bytes() for path in files)  # the search works
    return [path for path in files if any(needle in path.read_bytes() for needle in needles)]


def test_a_masked_round_survives_that_every_task_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    spec = toy_spec(summation="masked", min_sites=3, clipping_norm=1.0, rounds=1)
    run = simulate_toy(spec, tmp_path)  # one thread for three sites
    assert run.code == 0, run.log
    assert np.array_equal(model_of(run), toy_model(spec))
    assert not list(run.workspace.rglob("*secrets*"))


@pytest.mark.parametrize("fault", ["raise", "nan", "short", "digest", "stale"])
def test_a_bad_answer_costs_its_site_one_round(tmp_path: Path, fault: str) -> None:
    spec = toy_spec()
    run = simulate_toy(spec, tmp_path, threads=3, fault=fault)
    assert run.code == 0, run.log

    def update(site: str, model: np.ndarray, index: int) -> np.ndarray:
        if (site, index) == ("site-2", 0):
            raise WorkerError("out")
        return toy_update(site, model, index)

    assert model_of(run) == pytest.approx(toy_model(spec, update), rel=1e-6)
    assert [one["missing"] for one in rounds_of(run)] == [[], ["site-2"], []]
    assert "site-2 is out" in run.log


def test_too_few_answers_lose_the_round_and_the_job_goes_on(tmp_path: Path) -> None:
    spec = toy_spec(min_sites=3, rounds=3)
    run = simulate_toy(spec, tmp_path, threads=3, fault="nan")
    assert run.code == 0, run.log
    figures = rounds_of(run)
    assert "site-2" in figures[1]["failure"]
    assert [bool(one["failure"]) for one in figures] == [False, True, False, False]
    assert figures[1]["dice"] == figures[0]["dice"]


def test_a_lost_masked_round_opens_nothing_and_the_next_goes_on(tmp_path: Path) -> None:
    spec = toy_spec(summation="masked", min_sites=3, clipping_norm=1.0)
    run = simulate_toy(spec, tmp_path, threads=3, fault="raise")
    assert run.code == 0, run.log
    assert [bool(one["failure"]) for one in rounds_of(run)] == [False, True, False]
    assert "nothing was recovered" in rounds_of(run)[1]["failure"]

    def second_round_only(site: str, model: np.ndarray, index: int) -> np.ndarray:
        return toy_update(site, model, 1)

    one_round = replace(spec, terms=varied(spec.terms, rounds=1))
    assert np.array_equal(model_of(run), toy_model(one_round, second_round_only))


def test_a_killed_server_goes_on_where_it_was_and_never_charges_too_little(tmp_path: Path) -> None:
    spec = replace(
        toy_spec(
            summation="masked", min_sites=3, clipping_norm=1.0, noise_multiplier=2.0, epsilon_budget=30.0, rounds=3
        ),
        folder=str(tmp_path / "state"),
    )
    command = simulator_command(spec, tmp_path, TOY_APP, threads=3, edit=toy_edit())
    metrics, ledger = tmp_path / "state" / "metrics.jsonl", tmp_path / "kept" / "ledger.jsonl"
    # The simulator makes the server's workspace anew each time, but for this folder, which all parties get.
    (tmp_path / "run" / "local").mkdir(parents=True)
    (tmp_path / "run" / "local" / POLICY_FILE).write_text(json.dumps({"ledger": str(ledger)}))
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as first:
        deadline = time.monotonic() + 300
        while not (metrics.exists() and len(metrics.read_text().splitlines()) >= 2):
            assert time.monotonic() < deadline, "the first round did not end"
            assert first.poll() is None, "the job ended by itself"
            time.sleep(0.2)
        os.killpg(first.pid, signal.SIGKILL)
    _end_workers(tmp_path)
    spent_before = verify(ledger).spent.epsilon_rdp
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert "going on after round" in done.stdout
    report = verify(ledger)
    assert report.spent.epsilon_rdp > spent_before
    assert len(report.rounds) >= 3
    assert {charged.mechanism.round for charged in report.rounds if charged.released} == {0, 1, 2}
    copy = tmp_path / "state" / "ledger.jsonl"
    assert copy.read_bytes() == ledger.read_bytes()
    vouched = check_on_ledger(copy, read_countersignatures(witness_path(copy)), auditor(None))
    assert vouched.reach == ((report.head.lines, 3),)
    rounds = [json.loads(line)["round"] for line in metrics.read_text().splitlines()]
    assert rounds == sorted(rounds)
    assert rounds[-1] == 3


def _end_workers(folder: Path) -> None:
    """End what the killed simulator left behind: FLARE starts its site processes in sessions of their own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in command and int(entry.name) != os.getpid():
                os.kill(int(entry.name), signal.SIGKILL)


TINY = {"profiles": {"site-1": "district", "site-2": "university", "site-3": "archive"}, "pages_per_site": 4, "seed": 1}


@pytest.mark.parametrize("clipping_norm", [None, 0.2])
def test_real_training_equals_the_round_in_memory_and_a_killed_child_costs_one_round(
    tmp_path: Path, clipping_norm: float | None
) -> None:
    """Plain, undisturbed; clipped, with site-2's training process killed in the first round."""
    from ecg_flare.nnunet.commands import site_seed
    from ecg_flare.nnunet.dataset import prepare
    from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
    from ecg_flare.task.traces.sources import SyntheticPages

    fedadam, steps = BUNDLED["fedadam"], 3
    spec = replace(
        fedadam,
        terms=varied(fedadam.terms, rounds=2, clipping_norm=clipping_norm),
        training=Training(steps=steps, seed=7),
        pages=replace(fedadam.pages, path="ecg_flare.task.traces.sources.SyntheticPages", args=TINY),
        public_pages=replace(fedadam.public_pages, args={**fedadam.public_pages.args, "pages_per_site": 1}),
    )
    killed = clipping_norm is not None

    def edit(server: dict[str, Any], client: dict[str, Any]) -> None:
        if killed:
            client["executors"][0]["executor"]["path"] = "toy_site.KillingExecutor"

    run = simulate(spec, tmp_path, TOY_APP, threads=3, edit=edit)
    assert run.code == 0, run.log
    assert "Traceback" not in run.log
    assert [one["missing"] for one in rounds_of(run)] == [[], ["site-2"] if killed else [], []]
    assert ("killed by SIGKILL" in run.log) == killed
    facts = json.loads((run.results / "run.json").read_text())
    assert facts["training"] == (None if killed else asdict(TrainingSettings(steps=steps)))  # another executor's
    [pages] = {one["pages"] for one in rounds_of(run)}
    assert len(pages) == 64

    plan, trainers = plan_preset("tiny"), {}

    def train(site: str, model: np.ndarray, index: int) -> np.ndarray:
        if killed and (site, index) == ("site-2", 0):
            raise WorkerError("killed")
        if site not in trainers:
            trainers[site] = LocalTrainer(plan, prepare(SyntheticPages(**TINY), site, plan, tmp_path / "cache"))
        options = TrainOptions(
            steps, schedule="constant", first_step=index * steps, total_steps=2 * steps, seed=site_seed(7, site)
        )
        return trainers[site].train(model, options).update

    expected = in_memory(load_bundled("start").vector, spec.terms, FedAdam(**spec.optimizer), train)
    assert model_of(run) == pytest.approx(expected, rel=1e-6)
    assert (run.results / "model" / "fold_0" / "checkpoint_final.pth").exists()
