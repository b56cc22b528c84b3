"""Small images in nnU-Net's raw format for agreements on a plan: of any size, spacing and channel."""

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from dataset_folders import write_case

from ecg_flare.nnunet.environment import nnunet_environment
from ecg_flare.nnunet.planner import PLANNERS

NAME = "Dataset009_Pooled"

CT_SIZES = [(40, 60, 64), (48, 72, 70), (36, 64, 80), (44, 66, 66), (40, 62, 68), (46, 70, 64)]
CT_SPACINGS = [(2.5, 0.75, 0.75), (3.0, 0.8, 0.8), (2.5, 0.7, 0.7), (5.0, 0.9, 0.9), (2.5, 0.75, 0.75), (3.0, 0.8, 0.8)]


def make_images(
    root: Path, sizes: list[tuple[int, ...]], spacings: list[tuple[float, ...]], channel: str, first: int = 0
) -> Path:
    """Cases of those sizes (z, y, x) and spacings (z, y, x): an organ of whole intensities in noise, zeros around."""
    for part in ("imagesTr", "labelsTr"):
        (root / part).mkdir(parents=True)
    for index, (size, spacing) in enumerate(zip(sizes, spacings, strict=True), first):
        rng = np.random.default_rng(index)
        image, labels = np.zeros(size, np.float32), np.zeros(size, np.uint8)
        inner = tuple(slice(side // 8, side - side // 8) for side in size)
        image[inner] = rng.integers(-200, 300, image[inner].shape)
        organ = tuple(slice(side // 4, side // 2) for side in size)
        image[organ] = np.rint(rng.normal(60 + 10 * index, 25, image[organ].shape))
        labels[organ] = 1
        write_case(root, f"case_{index:02d}", image[None], labels, spacing[::-1])
    description = {
        "channel_names": {"0": channel},
        "labels": {"background": 0, "organ": 1},
        "numTraining": len(sizes),
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def make_sites(root: Path, sites: tuple[str, ...]) -> str:
    """Two CT cases of their own at each of three sites; gives the path of a site's folder, with {site} in it."""
    for index, site in enumerate(sites):
        own = slice(2 * index, 2 * index + 2)
        make_images(root / site, CT_SIZES[own], CT_SPACINGS[own], "CT", 2 * index)
    return str(root / "{site}")


def pooled_plan(root: Path, tmp_path: Path, planner: str = "ExperimentPlanner") -> dict[str, Any]:
    """nnU-Net's own extractor and planner on the folder of all cases."""
    raw, preprocessed = tmp_path / "raw", tmp_path / "preprocessed"
    shutil.copytree(root, raw / NAME)
    with nnunet_environment(raw=raw, preprocessed=preprocessed, threads=1):
        from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

        extractor = DatasetFingerprintExtractor(NAME, num_processes=1)
        extractor.show_progress_bar = False
        extractor.num_foreground_voxels_for_intensitystats = 10**6
        extractor.run()
        found = getattr(importlib.import_module(PLANNERS[planner]), planner)(NAME)
        found.plan_experiment()
    plans: dict[str, Any] = json.loads((preprocessed / NAME / f"{found.plans_identifier}.json").read_text())
    return plans


def assert_same_plan(agreed: dict[str, Any], pooled: dict[str, Any], *, within: float = 0.0) -> None:
    """Every entry but intensities; spacings within a share of themselves."""
    assert list(agreed["configurations"]) == list(pooled["configurations"])
    left = {"foreground_intensity_properties_per_channel", "configurations", "original_median_spacing_after_transp"}
    assert {k: v for k, v in agreed.items() if k not in left} == {k: v for k, v in pooled.items() if k not in left}
    np.testing.assert_allclose(
        agreed["original_median_spacing_after_transp"], pooled["original_median_spacing_after_transp"], rtol=within
    )
    for name, expected in pooled["configurations"].items():
        found = agreed["configurations"][name]
        assert {k: v for k, v in found.items() if k != "spacing"} == {
            k: v for k, v in expected.items() if k != "spacing"
        }
        if "spacing" in expected:
            np.testing.assert_allclose(found["spacing"], expected["spacing"], rtol=within)
