"""The plan made of summed histograms is the one that nnU-Net makes of all cases together."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreeing_images import CT_SIZES, CT_SPACINGS, NAME, assert_same_plan, make_images, pooled_plan
from dataset_folders import write_case
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.fingerprint import CaseFingerprint, fingerprint_of
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.nnunet.planner import plan_experiment
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.task.agreement.bins import FingerprintBins, LinearBins, LogBins
from ecg_flare.task.agreement.estimate import fingerprint_from
from ecg_flare.task.agreement.histograms import histograms_norm, histograms_of, outside, split
from ecg_flare.task.datasets.folder import NnunetFolder
from ecg_flare.task.datasets.plans import stock_plan

BINS = FingerprintBins()


def cases_of(root: Path) -> Iterator[CaseFingerprint]:
    for labels in sorted((root / "labelsTr").iterdir()):
        image = root / "imagesTr" / labels.name.replace(".nii.gz", "_0000.nii.gz")
        yield fingerprint_of("SimpleITKIO", (image,), labels)


def agreed_plan(root: Path, planner: str = "ExperimentPlanner", bins: FingerprintBins = BINS) -> dict[str, Any]:
    description = json.loads((root / "dataset.json").read_text())
    blocks = bins.blocks([0] if description["channel_names"]["0"] == "CT" else [])
    summed, cases = 0.0, 0
    for case in cases_of(root):
        summed, cases = summed + histograms_of(case, blocks), cases + 1
    found = fingerprint_from(np.asarray(summed), blocks, cases)
    return plan_experiment(found, {**description, "overwrite_image_reader_writer": "SimpleITKIO"}, planner, NAME)


def train_by(plans: dict[str, Any], root: Path, tmp_path: Path) -> None:
    """A step on these cases by a plan that their sites agreed on, with a network that a test has the time for."""
    configuration = plans["configurations"]["3d_fullres"]
    arguments = configuration["architecture"]["arch_kwargs"]
    arguments["features_per_stage"] = [4] * arguments["n_stages"]
    (tmp_path / "plans.json").write_text(json.dumps(plans))
    description = root / "dataset.json"
    plan = stock_plan(tmp_path / "plans.json", dataset_file=description, trainer="nnUNetTrainer")
    prepared = prepare(
        NnunetFolder(str(root), cases_are_patients=True), "a", plan, tmp_path / "cache", log=lambda _: None
    )
    update = LocalTrainer(plan, prepared).train(initial_vector(plan, 0), TrainOptions(steps=1)).update
    assert np.linalg.norm(update) > 0


@pytest.mark.slow
@pytest.mark.parametrize("planner", ["ExperimentPlanner", "nnUNetPlannerResEncM"])
def test_ct_like_cases_give_the_pooled_plan_and_its_intensities(tmp_path: Path, planner: str) -> None:
    root = make_images(tmp_path / "ct", CT_SIZES[:4], CT_SPACINGS[:4], "CT")
    agreed, pooled = agreed_plan(root, planner), pooled_plan(root, tmp_path, planner)
    assert_same_plan(agreed, pooled, within=1e-6)
    assert pooled["configurations"]["3d_fullres"]["normalization_schemes"] == ["CTNormalization"]
    found = agreed["foreground_intensity_properties_per_channel"]["0"]
    expected = pooled["foreground_intensity_properties_per_channel"]["0"]
    for name, value in found.items():  # nnU-Net draws a sample of the foreground, of about 250,000 voxels a case
        assert value == pytest.approx(expected[name], abs=1.0), name
    assert set(expected) - set(found) == {"min", "max"}


@pytest.mark.slow
def test_anisotropic_cases_give_the_pooled_plan(tmp_path: Path) -> None:
    """Thick slices of many thicknesses: the planner takes the tenth percentile, not the median, of that axis."""
    thick = [5.0, 6.0, 7.0, 8.0, 10.0, 9.5]
    sizes = [(10 + index, 128 + 3 * index, 140 - index) for index in range(6)]
    spacings = [(z, 0.6875, 0.6875) for z in thick]
    root = make_images(tmp_path / "mri", sizes, spacings, "MRI")
    agreed, pooled = agreed_plan(root), pooled_plan(root, tmp_path)
    assert pooled["configurations"]["3d_fullres"]["spacing"][0] == pytest.approx(5.5)
    assert_same_plan(agreed, pooled, within=1e-3)
    assert agreed["foreground_intensity_properties_per_channel"] == {"0": {}}
    train_by(agreed, root, tmp_path)


@pytest.mark.slow
@pytest.mark.realdata
def test_the_hippocampus_gives_the_pooled_plan(data_root: Path, tmp_path: Path) -> None:
    root = data_root / "hippocampus"
    agreed, pooled = agreed_plan(root), pooled_plan(root, tmp_path)
    assert_same_plan(agreed, pooled)
    assert pooled["configurations"]["3d_fullres"]["spacing"] == [1.0, 1.0, 1.0]


def test_powers_of_two_are_centres_and_a_bin_stands_for_its_roundest_number() -> None:
    bins = LogBins(-7, 10, 1024)
    values = np.array([1.0, 0.9999999, 1.0000001, 3.0, 0.7812, 0.48828125, 999.0, 5.0, 0.75])
    found = [bins.value(int(place)) for place in bins.place(values)]
    assert found[:4] == [1.0, 1.0, 1.0, 3.0]
    assert found[6:] == [999.0, 5.0, 0.75]
    np.testing.assert_allclose(found, values, rtol=2**-10)


@given(st.floats(2.0**-7, 2.0**10), st.sampled_from([8, 16, 1024]))
def test_a_value_is_within_a_bin_of_what_it_is_counted_as(value: float, per_octave: int) -> None:
    bins = LogBins(-7, 10, per_octave)
    [place] = bins.place(np.array([value]))
    assert abs(np.log2(bins.value(int(place)) / value)) <= 1 / per_octave + 1e-9
    assert bins.place(np.array([bins.value(int(place))])) == [place]


def test_whole_numbers_of_voxels_have_a_bin_of_their_own() -> None:
    bins = BINS.blocks([])["shape.0"]
    sides = np.arange(1, 700)
    assert [bins.value(int(place)) for place in bins.place(sides.astype(float))] == sides.tolist()


def test_intensities_have_whole_numbers_for_centres() -> None:
    bins = BINS.intensities
    assert (bins.size, bins.value(0), bins.value(bins.size - 1)) == (4096, -1024.0, 3071.0)
    assert LinearBins(0, 1, 64).place(np.array([0.0, 0.7499, 0.75, 1.0])).tolist() == [0, 47, 48, 63]


CASE = CaseFingerprint((3.0, 0.5, 0.5), (20, 300, 300), 0.6, (np.array([-2000, 0, 10, 10], np.float32),))


def test_each_histogram_of_a_case_adds_up_to_one_so_that_their_norm_is_bounded() -> None:
    blocks = BINS.blocks([0])
    vector = histograms_of(CASE, blocks)
    assert [part.sum() for part in split(vector, blocks).values()] == [1.0] * 11
    assert np.linalg.norm(vector) <= histograms_norm(len(blocks)) == np.sqrt(11)
    alike = CaseFingerprint(CASE.spacing, CASE.shape, CASE.relative_size, (np.full(9, 7, np.float32),))
    assert np.linalg.norm(histograms_of(alike, blocks)) == pytest.approx(
        histograms_norm(len(blocks))
    )  # the bound is reached


def test_a_value_beyond_the_bins_counts_at_their_end_and_is_told() -> None:
    blocks = BINS.blocks([0])
    told = list(outside(CASE, blocks))
    assert told == ["intensity.0 -2000 lies beyond the public bins, and counts as -1024 or 3071"]
    assert split(histograms_of(CASE, blocks), blocks)["intensity.0"][0] == 0.25
    huge = CaseFingerprint((5000.0, 1.0, 1.0), CASE.shape, 1.0, CASE.foreground)
    assert split(histograms_of(huge, blocks), blocks)["spacing.0"][-1] == 1
    assert "spacing.0 5000 lies beyond the public bins" in next(outside(huge, blocks))


def test_a_case_without_foreground_counts_no_intensity() -> None:
    blocks = BINS.blocks([0])
    empty = CaseFingerprint(CASE.spacing, CASE.shape, 1.0, (np.array([], np.float32),))
    assert split(histograms_of(empty, blocks), blocks)["intensity.0"].sum() == 0
    assert list(outside(empty, blocks)) == []
    with pytest.raises(ConfigError, match=r"nothing was counted in the histogram of intensity\.0"):
        fingerprint_from(histograms_of(empty, blocks), blocks, 1)


def test_nothing_counted_is_an_error() -> None:
    blocks = BINS.blocks([])
    size = sum(bins.size for bins in blocks.values())
    with pytest.raises(ConfigError, match=r"nothing was counted in the histogram of spacing\.0"):
        fingerprint_from(np.zeros(size), blocks, 4)
    with pytest.raises(ConfigError, match="histograms of 0 cases"):
        fingerprint_from(np.zeros(size), blocks, 0)


def test_noise_around_empty_bins_moves_no_quantile_where_cases_agree() -> None:
    blocks = FingerprintBins(per_octave=16).blocks([])
    summed = 160 * histograms_of(CASE, blocks)
    noisy = summed + np.random.default_rng(3).normal(0, 4.0, summed.size)
    found = fingerprint_from(noisy, blocks, 160, noise_sd=4.0)
    exact = fingerprint_from(summed, blocks, 160)
    np.testing.assert_array_equal(np.median(found.spacings, 0), np.median(exact.spacings, 0))
    np.testing.assert_array_equal(np.median(found.extents, 0), np.median(exact.extents, 0))
    assert found.relative_size == exact.relative_size


def test_an_image_of_zeros_and_an_unknown_planner_are_refused(tmp_path: Path) -> None:
    root = make_images(tmp_path / "d", [(16, 16, 16)], [(1, 1, 1)], "MRI")
    write_case(root, "case_00", np.zeros((1, 16, 16, 16), np.float32), np.zeros((16, 16, 16), np.uint8))
    with pytest.raises(SiteDataError, match=r"case_00_0000\.nii\.gz holds nothing but zeros"):
        list(cases_of(root))
    blocks = BINS.blocks([])
    with pytest.raises(ConfigError, match="unknown planner 'Mine'"):
        plan_experiment(fingerprint_from(histograms_of(CASE, blocks), blocks, 1), {}, "Mine", NAME)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"per_octave": 0}, "per_octave is 0"),
        ({"relative_sizes": 6}, "relative_sizes is 6"),
        ({"intensity_width": float("nan")}, "nan"),
        ({"least_intensity": 10.0, "largest_intensity": 5.0}, "from 10.0 to 5.0"),
        ({"intensity_width": 1e-5}, "at most 1048576"),
    ],
)
def test_bins_that_are_none_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FingerprintBins(**wrong)
