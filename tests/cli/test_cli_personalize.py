"""A released model made a site's own, by the command of the site's engineer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.export import load_bundled, load_model, save_model
from ecg_flare.nnunet.kinds import nnunet_plan
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.site.own_pages import OwnPages, read_own_pages, write_own_pages
from ecg_flare.site.own_tensors import OWN_TENSORS_FOLDER, OwnTensors
from ecg_flare.task.traces.model_segmenter import ModelSegmenter
from ecg_flare.task.traces.sources import SyntheticPages

RunCli = Callable[..., Result]
START = "bundled:start"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def berlin(kit: Path, cache: Path) -> Path:
    """A kit that names five pages."""
    write_own_pages(kit / "local", OwnPages(SyntheticPages({"berlin": "university"}, pages_per_site=5), str(cache)))
    return kit


def told(run_cli: RunCli, *more: object) -> dict[str, Any]:
    done = run_cli("site", "personalize", START, "--steps", 2, "--json", *more)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_best_point_of_the_line_is_kept_for_the_owner_alone(run_cli: RunCli, berlin: Path) -> None:
    found = told(run_cli, "--workspace", berlin, "--learning-rate", 0.001)
    file = berlin / "local" / "ecg_flare_personal.npz"
    assert found["model"] == str(file)
    assert found["dice"] == max(found["dice_by_share"].values()) >= found["released_dice"]
    assert found["held_out"] >= 1
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    stored = load_model(file)
    assert stored.provenance["personal"] == "berlin"
    assert stored.plan.hash == load_bundled("start").plan.hash
    assert (stored.vector != load_bundled("start").vector).any() == (found["share"] > 0)
    page = next(iter(SyntheticPages({"berlin": "university"}, pages_per_site=1).cases("berlin")))
    assert ModelSegmenter.of(file)(page.image).shape[1:] == page.image.shape[:2]


def test_what_harms_is_not_taken(run_cli: RunCli, berlin: Path) -> None:
    done = run_cli("site", "personalize", START, "--workspace", berlin, "--steps", 1, "--learning-rate", 1000)
    assert done.exit_code == 0, done.output
    assert "Nothing is better here than the released model" in done.stdout
    kept = load_model(berlin / "local" / "ecg_flare_personal.npz").vector
    np.testing.assert_array_equal(kept, load_bundled("start").vector)


@pytest.mark.parametrize("part", ["norm", "head"])
def test_only_the_part_that_is_own_moves(run_cli: RunCli, berlin: Path, tmp_path: Path, part: str) -> None:
    output = tmp_path / "own.npz"
    found = told(run_cli, "--workspace", berlin, "--part", part, "-o", output)
    assert found["share"] > 0, found
    start, own = load_bundled("start"), load_model(output).vector
    at = 0
    moved = set()
    for name, shape in start.plan.layout:
        size = int(np.prod(shape))
        if (own[at : at + size] != start.vector[at : at + size]).any():
            moved.add(name)
        at += size
    allowed = {name for name, _ in start.plan.layout if (".norm." in name if part == "norm" else "decoder" in name)}
    assert moved
    assert moved <= allowed


def test_the_same_command_gives_the_same_file(run_cli: RunCli, berlin: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.npz", "b.npz")]
    for file in files:
        told(run_cli, "--workspace", berlin, "-o", file, "--mu", 0.5)
    first, second = (load_model(file).vector for file in files)
    np.testing.assert_array_equal(first, second)


def test_tensors_that_the_site_kept_are_put_in_without_training(run_cli: RunCli, berlin: Path) -> None:
    start = load_bundled("start")
    subset = TrainableSubset.matching(start.plan.layout, ["*.norm.*"])
    put = ["site", "personalize", START, "--workspace", berlin, "--steps", 0, "--kept"]
    assert "no job with --local" in run_cli(*put).stderr
    better = personalized_norms(berlin)
    for job, model in (("a1a1", start.vector * np.float32(0.5)), ("b2b2", better)):
        OwnTensors(berlin / OWN_TENSORS_FOLDER / f"{job}.npz", subset, start.plan.hash).keep(0, "", model)
    (berlin / OWN_TENSORS_FOLDER / "c3c3.npz").write_bytes(b"")
    assert "name one of a1a1, b2b2" in run_cli(*put).stderr
    found = told(run_cli, "--workspace", berlin, "--steps", 0, "--kept-of", "b2")
    stored = load_model(berlin / "local" / "ecg_flare_personal.npz")
    assert stored.provenance["kept"] == "b2b2"
    assert found["dice_by_share"]["1.0"] != found["dice_by_share"]["0.0"]
    if found["share"] == 1:
        np.testing.assert_array_equal(stored.vector, better)
    found = told(run_cli, "--workspace", berlin, "--steps", 0, "--kept-of", "a1")
    assert found["dice_by_share"]["1.0"] < found["released_dice"]


def personalized_norms(kit: Path) -> np.ndarray:
    """The start with a site's norm layers after three steps there."""
    start = load_bundled("start")
    own = read_own_pages(kit / "local")
    assert own is not None
    plan = nnunet_plan(start.plan)
    cases = prepare(own.source, "berlin", plan, Path(own.cache))
    trained: np.ndarray = (
        LocalTrainer(plan, cases).train(start.vector, TrainOptions(3, 0.05, trained=("*.norm.*",))).update
    )
    return start.vector + trained


@pytest.mark.parametrize(
    ("model", "more", "named"),
    [
        ("nowhere.npz", [], "nowhere.npz"),
        ("bundled:huge", [], "'huge'"),
        (START, ["--part", "tail"], "'tail'"),
        (START, ["--steps", 0], "--kept"),
        (START, ["--steps", -1], "-1"),
        (START, ["--mu", -1], "-1"),
        (START, ["--learning-rate", "nan"], "nan"),
        (START, ["--best"], "--best"),
        (START, ["--best", "--kept"], "--kept"),
        (START, ["--device", "nonsense"], "'nonsense'"),
        (START, ["-o", "/proc/own.npz"], "/proc/own.npz"),
    ],
)
def test_wrong_use_names_the_value(run_cli: RunCli, berlin: Path, model: str, more: list[object], named: str) -> None:
    done = run_cli("site", "personalize", model, "--workspace", berlin, *more)
    assert done.exit_code == 2
    assert named in done.stderr
    assert [path.name for path in (berlin / "local").iterdir()] == ["ecg_flare_pages.json"]


def test_a_kit_without_cases_says_what_to_run(run_cli: RunCli, kit: Path) -> None:
    done = run_cli("site", "personalize", START, "--workspace", kit)
    assert done.exit_code == 2
    assert "ecg-flare site prepare" in done.stderr


def test_a_model_of_another_task_is_refused(run_cli: RunCli, berlin: Path, tmp_path: Path) -> None:
    from ecg_flare.nnunet.kinds import learnt
    from ecg_flare.task.datasets.plans import preset_plan

    description = tmp_path / "dataset.json"
    description.write_text(
        json.dumps({"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1}, "file_ending": ".nii.gz"})
    )
    plan = preset_plan("small_3d", description, spacing=(1, 1, 1), trainer="nnUNetTrainer")
    model = save_model(tmp_path / "mri.npz", learnt(plan).initial_model(0), plan)
    done = run_cli("site", "personalize", model, "--workspace", berlin)
    assert done.exit_code == 2
    assert "small_3d" in done.stderr or "kind" in done.stderr
    assert "Traceback" not in done.output
