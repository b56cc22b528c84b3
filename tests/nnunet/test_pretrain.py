"""Pretraining on public pages: it learns, it is reproducible, and it says how it went."""

from pathlib import Path

import numpy as np
import pytest
from nnunet_scribbles import ScribbledPages

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.export import bundled_names, load_bundled
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.pretrain import pretrain, pretraining
from ecg_flare.nnunet.trainer import TrainOptions
from ecg_flare.task.traces.bundled import RECIPES


def test_pretraining_learns_and_repeats(tmp_path: Path, tiny: Plan) -> None:
    lines: list[str] = []
    pages, options = SiteCases(ScribbledPages(), "s", tiny, tmp_path), pretraining(12, seed=2)
    first = pretrain(pages, options, log=lines.append)
    again = pretrain(pages, options, log=lines.append)
    np.testing.assert_array_equal(first.vector, again.vector)
    assert first.history == again.history
    assert [point.step for point in first.history] == list(range(1, 13))
    assert first.history[-1].loss < first.history[0].loss - 0.2
    assert 0 < first.validation_dice <= 1
    assert any("12 steps in" in line for line in lines)


def test_pretraining_goes_on_from_a_model(tmp_path: Path, tiny: Plan, start: np.ndarray) -> None:
    pages = SiteCases(ScribbledPages(), "s", tiny, tmp_path)
    moved = pretrain(pages, pretraining(1), start=start, log=lambda _: None)
    assert 0 < np.linalg.norm(moved.vector - start) < 0.2 * np.linalg.norm(start)


def test_pretraining_goes_by_nnunets_own_schedule() -> None:
    assert pretraining(5, seed=3) == TrainOptions(steps=5, learning_rate=0.01, schedule="poly", seed=3)
    with pytest.raises(ConfigError, match=r"steps.*0"):
        pretraining(0)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_bundled_models_are_of_their_recipes(name: str) -> None:
    assert set(bundled_names()) == set(RECIPES)
    model = load_bundled(name)
    recipe = RECIPES[name]
    assert model.plan.name == recipe.plan
    assert model.provenance["recipe"]["steps"] == recipe.steps
    assert model.provenance["recipe"]["seed"] == recipe.seed
    assert model.provenance["command"].endswith(name)
    assert set(model.provenance["dice_by_profile"]) >= {"plain", "broad", "public"}
    assert np.isfinite(model.vector).all()


def test_the_federations_start_leaves_room_to_learn() -> None:
    start, reader = (load_bundled(name).provenance["dice_by_profile"] for name in ("start", "segmenter"))
    assert 0.45 < start["public"] < 0.8
    assert reader["public"] > start["public"] + 0.05
