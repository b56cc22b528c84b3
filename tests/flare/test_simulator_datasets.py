"""A 3D data set in nnU-Net's raw format through FLARE: its plan in the terms, and the folder that it leaves."""

import json
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import make_dataset, make_plans
from flare_runs import simulate

from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import Changes, data_sets, job_for, pages_of
from ecg_flare.nnunet.commands import site_seed
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.kinds import plan_of, task_of
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.report import read_run
from ecg_flare.storage import read_arrays
from ecg_flare.task.datasets.folder import NnunetFolder
from ecg_flare.task.datasets.plans import stock_plan

pytestmark = pytest.mark.slow

SITES = ("site-1", "site-2")
STEPS = 2


def test_a_round_is_the_mean_of_what_the_sites_train_alone(tmp_path: Path) -> None:
    for index, site in enumerate(SITES):
        make_dataset(tmp_path / "data" / site / "Dataset007_Boxes", cases=3 + index)
    data = str(tmp_path / "data" / "{site}" / "Dataset007_Boxes")
    plans = make_plans(tmp_path / "plans", Path(data.replace("{site}", SITES[0])) / "dataset.json")
    plan = stock_plan(plans, trainer="nnUNetTrainer")
    changes = Changes(
        sites=SITES,
        rounds=1,
        plan=plan,
        training={"steps": STEPS, "momentum": 0.9},
        pages=pages_of(f"nnunet:{data}", SITES, BUNDLED["fedavg"]),
        validate_every=1,
        seed=5,
    )
    run = simulate(job_for(BUNDLED["fedavg"], changes), tmp_path, Path("custom").resolve())
    assert run.code == 0, run.log[-3000:]
    start = initial_vector(plan, 0)
    updates, trainers = [], []
    for site in SITES:
        prepared = prepare(NnunetFolder(data), site, plan, tmp_path / "cache", log=lambda _: None)
        options = TrainOptions(STEPS, momentum=0.9, seed=site_seed(5, site), total_steps=STEPS)
        trainers.append(LocalTrainer(plan, prepared))
        updates.append(trainers[-1].train(start, options).update)
    expected = start + np.mean(updates, axis=0)
    np.testing.assert_allclose(read_arrays(run.results / "state.npz")["model"], expected, atol=1e-6)
    [figures] = [json.loads(line) for line in (run.results / "metrics.jsonl").read_text().splitlines()][1:]
    sums = task_of(plan).sums
    shares = [sums.shares(found) for each in trainers for _, found in each.held_out(expected.astype("f4"))]
    by_label = sums.figures(np.sum(shares, axis=0))
    assert figures["dice_by_label"] == pytest.approx(by_label, abs=1e-3)
    assert figures["sites_dice"] == pytest.approx(np.mean(list(by_label.values())), abs=1e-3)
    np.testing.assert_array_equal(
        read_arrays(run.results / "best.npz")["model"], read_arrays(run.results / "state.npz")["model"]
    )
    report = read_run(run.workspace)
    assert not report.measured
    assert report.best is report.final
    model = report.terms.model
    assert plan_of(model.plan, model.document).hash == plan.hash == report.facts["plan_hash"]
    assert json.loads((run.results / "model" / "plans.json").read_text()) == plan.plans
    assert (run.results / "model" / "fold_0" / "checkpoint_final.pth").exists()


def test_a_masked_job_knows_its_dice_by_label_from_sums_alone(tmp_path: Path) -> None:
    sites = ("site-1", "site-2", "site-3")
    for index, site in enumerate(sites):
        make_dataset(tmp_path / "data" / site / "Dataset007_Boxes", cases=4 + index)
    data = str(tmp_path / "data" / "{site}" / "Dataset007_Boxes")
    plans = make_plans(tmp_path / "plans", Path(data.replace("{site}", SITES[0])) / "dataset.json")
    changes = Changes(
        sites=sites,
        rounds=1,
        plan=stock_plan(plans, trainer="nnUNetTrainer"),
        training={"steps": STEPS},
        pages=data_sets(f"nnunet:{data}"),
        validate_every=1,
    )
    run = simulate(job_for(BUNDLED["fedadam_secure"], changes), tmp_path, Path("custom").resolve(), threads=3)
    assert run.code == 0, run.log[-3000:]
    [figures] = [json.loads(line) for line in (run.results / "metrics.jsonl").read_text().splitlines()][1:]
    assert figures["failure"] == ""
    assert set(figures["dice_by_label"]) <= {"left", "right"}
    assert figures["sites_dice"] == pytest.approx(np.mean(list(figures["dice_by_label"].values())))
    assert figures["site_metrics"] == {}
    report = read_run(run.workspace)
    assert report.best is report.final
    assert report.terms.evaluation is not None
