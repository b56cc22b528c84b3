"""Real cases: the hippocampus of the Medical Segmentation Decathlon, looked over and trained on."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.plan import Plan, initial_vector
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.task.datasets.folder import NnunetFolder
from ecg_flare.task.datasets.inspection import inspect_folder
from ecg_flare.task.datasets.plans import preset_plan

pytestmark = pytest.mark.realdata


@pytest.fixture
def plan(data_root: Path) -> Plan:
    return preset_plan(
        "small_3d", data_root / "hippocampus" / "dataset.json", spacing=(1, 1, 1), trainer="nnUNetTrainer"
    )


@pytest.fixture
def site_4(data_root: Path, tmp_path: Path) -> Path:
    """Three scans of the site whose intensities are on another scale."""
    source, target = data_root / "hippocampus", tmp_path / "Dataset004_Hippocampus"
    with (source / "sites.csv").open(newline="") as file:
        names = [row["case"] for row in csv.DictReader(file) if row["site"] == "site-4"][:3]
    for folder, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        (target / folder).mkdir(parents=True)
        for name in names:
            shutil.copy(source / folder / f"{name}{ending}", target / folder)
    shutil.copy(source / "dataset.json", target)
    return target


def test_all_cases_are_in_order(data_root: Path, plan: Plan) -> None:
    found = inspect_folder(NnunetFolder(str(data_root / "hippocampus"), cases_are_patients=True), "any", plan)
    assert (found.found, len(found.cases), found.findings) == (160, 160, ())
    assert json.loads((data_root / "hippocampus" / "dataset.json").read_text())["numTraining"] == 160


def test_a_step_on_real_scans_moves_the_model(site_4: Path, plan: Plan, tmp_path: Path) -> None:
    data = prepare(
        NnunetFolder(str(site_4), cases_are_patients=True), "site-4", plan, tmp_path / "c", log=lambda _: None
    )
    trainer = LocalTrainer(plan, data)
    start = initial_vector(plan, 0)
    result = trainer.train(start, TrainOptions(steps=1, momentum=0.9))
    assert np.isfinite(result.loss)
    assert 0 < np.linalg.norm(result.update) < 10
    counts = trainer.validate(start + result.update)
    # the crops are about 35 x 51 x 35 voxels of 1 mm, and the hippocampus has about two thousand of them a part
    assert 30_000 < sum(counts.tp) + sum(counts.fn) < 120_000
    assert all(500 < counts.tp[label] + counts.fn[label] < 5_000 for label in (1, 2))
