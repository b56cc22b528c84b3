"""A torch module of a job's own code through FLARE's simulator: masked, as the mean of what the sites train alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from flare_runs import simulate
from ptbxl_diagnosis import Superclasses
from ptbxl_recordings import PtbxlRecordings
from small_ptbxl import make_ptbxl

from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import Changes, job_for
from ecg_flare.flare.job.folders import Pages
from ecg_flare.nnunet.commands import site_seed
from ecg_flare.nnunet.kinds import learnt, plan_of
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.settings import PrepareSettings
from ecg_flare.nnunet.trainer import TrainOptions
from ecg_flare.report import read_run
from ecg_flare.storage import read_arrays
from ecg_flare.task.modules import plan_of_task

pytestmark = pytest.mark.slow

SITES = ("site-1", "site-2", "site-3")
DEALT = {"site-1": ["0"], "site-2": ["1"], "site-3": ["2"]}
DIAGNOSIS = Path(__file__).parents[2] / "custom" / "diagnosis"
STEPS = 2


def test_a_masked_round_of_the_diagnosis_is_the_mean_of_what_the_sites_train_alone(tmp_path: Path) -> None:
    root = make_ptbxl(tmp_path / "ptbxl")
    plan = plan_of_task(Superclasses(width=8))
    changes = Changes(
        sites=SITES,
        rounds=1,
        plan=plan,
        training={"steps": STEPS, "momentum": 0.5, "learning_rate": 0.05},
        pages=Pages("ptbxl_recordings.PtbxlRecordings", {"root": str(root), "sites": DEALT}),
        aggregator="FedAvg",
        settings={"learning_rate": 1.0},
        seed=5,
        validate_every=1,
    )
    run = simulate(job_for(BUNDLED["fedadam_secure"], changes), tmp_path, DIAGNOSIS)
    assert run.code == 0, run.log[-3000:]
    start = learnt(plan).initial_model(0)
    updates, trainers = [], []
    for site in SITES:
        cases = SiteCases(PtbxlRecordings(str(root), DEALT), site, plan, tmp_path / "cache")
        prepared = learnt(plan).prepare(cases, PrepareSettings(), lambda _: None)
        assert len(prepared.entries) == 3
        options = TrainOptions(STEPS, learning_rate=0.05, momentum=0.5, seed=site_seed(5, site), total_steps=STEPS)
        trainers.append(learnt(plan).site_trainer(prepared, 1, "cpu"))
        updates.append(trainers[-1].train(start, options).update)
    # fixed point carries each coordinate of an update to C / 2^23 and better
    model = read_arrays(run.results / "state.npz")["model"]
    np.testing.assert_allclose(model, start + np.mean(updates, axis=0), atol=1e-5)
    assert np.abs(model - start).max() > 1e-3
    sums = learnt(plan).sums
    shares = [sums.shares(found) for each in trainers for _, found in each.held_out(model.astype("f4"))]
    assert len(shares) == len(SITES)  # of each site's three patients one is held out
    f1 = {name: value for name, value in sums.figures(np.sum(shares, axis=0)).items() if not np.isnan(value)}
    [figures] = [json.loads(line) for line in (run.results / "metrics.jsonl").read_text().splitlines()][1:]
    assert figures["dice_by_label"] == pytest.approx(f1, abs=1e-3)
    report = read_run(run.workspace)
    assert not report.measured
    terms = report.terms
    assert plan_of(terms.model.plan, terms.model.document).hash == plan.hash == report.facts["plan_hash"]
    assert (run.results / "model" / "weights.pt").exists()
    assert json.loads((run.results / "model" / "plan.json").read_text())["task"] == "ptbxl_diagnosis.Superclasses"
