"""Decibels of what the digitizer reads with a model: of a good one, of none, and of pages without recordings."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from nnunet_scribbles import ScribbledPages

from ecg_flare.cli import main
from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import learnt, plan_preset
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.task.traces.decibels import REFUSED, SNR_DB, decibels_on_pages, read_with
from ecg_flare.task.traces.sources import SyntheticPages

SITE = "public"
PAGES = SyntheticPages({SITE: "district"}, pages_per_site=2, pages_per_patient=1, seed=11)
SEGMENTER = load_bundled("segmenter")


@pytest.fixture
def cases(tmp_path: Path) -> SiteCases:
    return SiteCases(PAGES, SITE, SEGMENTER.plan, tmp_path)


def test_a_trained_model_reads_pages_and_an_untrained_one_none(cases: SiteCases) -> None:
    task = learnt(SEGMENTER.plan)
    found = task.measures(SEGMENTER.vector, cases, "cpu")
    assert set(found) == {SNR_DB, REFUSED}
    assert found[SNR_DB] > 10
    assert found[REFUSED] == 0
    blank = task.measures(np.zeros_like(SEGMENTER.vector), cases, "cpu")
    assert blank[SNR_DB] < 3


def test_a_page_that_breaks_the_reader_is_refused_and_ends_nothing(cases: SiteCases) -> None:
    class Broken:
        def __call__(self, image: np.ndarray) -> np.ndarray:
            raise IndexError("no such row")

    assert read_with(Broken(), next(PAGES.printed(SITE))) is None


def test_the_pages_are_those_that_dice_is_measured_on() -> None:
    for printed, case in zip(PAGES.printed(SITE), PAGES.cases(SITE), strict=True):
        assert printed.name == case.name
        np.testing.assert_array_equal(printed.case.image, case.image)
        assert np.isnan(printed.shown.signal_mv).any()
        assert printed.page.image.shape != case.image.shape


def test_pages_without_recordings_are_refused_by_name(tmp_path: Path) -> None:
    plan = plan_preset("tiny")
    cases = SiteCases(ScribbledPages(), SITE, plan, tmp_path)
    with pytest.raises(ConfigError, match="ScribbledPages has none"):
        decibels_on_pages(plan, load_bundled("start").vector, cases, "cpu")


def test_a_job_that_asks_for_measures_says_so_to_the_server(tmp_path: Path) -> None:
    for options, expected in (((), None), (("--measures",), True)):
        arguments = ["jobs", "export", "fedavg", "--sites", "a,b,c", "--data", "own", "--no-code", *options]
        result = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "jobs")])
        assert result.exit_code == 0, result.stderr
        config = json.loads((tmp_path / "jobs" / "fedavg" / "app" / "config" / "config_fed_server.json").read_text())
        (evaluator,) = [each for each in config["components"] if each["id"] == "evaluator"]
        assert evaluator["args"].get("measures") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--local", "*.norm.*"), "as its sites keep tensors"),
        (
            ("--task", "nnunet", "--plans", "small_3d", "--dataset-json", "{dataset}"),
            "as its server has no public data",
        ),
    ],
)
def test_a_job_that_measures_nothing_at_the_server_asks_for_no_measures(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    dataset = tmp_path / "dataset.json"
    labels = {"background": 0, "hippocampus": 1}
    dataset.write_text(json.dumps({"channel_names": {"0": "MRI"}, "labels": labels, "file_ending": ".nii.gz"}))
    given = [option.format(dataset=dataset) for option in options]
    arguments = ["jobs", "export", "fedavg", "--sites", "a,b,c", "--data", "own", "--no-code", "--measures"]
    result = CliRunner().invoke(main, [*arguments, *given, "-o", str(tmp_path / "jobs")])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
