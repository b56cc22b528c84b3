"""A model that is known by its path goes to another process, and answers there as it does here."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.export import save_model
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.task.traces.model_segmenter import ModelSegmenter
from ecg_flare.task.traces.predictor import NetworkSegmenter


def test_it_answers_like_the_network_itself_and_survives_pickling(tmp_path: Path) -> None:
    plan = plan_preset("tiny")
    vector = initial_vector(plan, 1)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)

    segmenter = ModelSegmenter.of(save_model(tmp_path / "model.npz", vector, plan))
    moved = pickle.loads(pickle.dumps(segmenter))  # noqa: S301

    np.testing.assert_array_equal(moved(image), NetworkSegmenter(plan, vector)(image))
    assert len(pickle.dumps(segmenter)) < 1000


def test_its_identity_is_that_of_the_bytes(tmp_path: Path) -> None:
    plan = plan_preset("tiny")
    one = ModelSegmenter.of(save_model(tmp_path / "one.npz", initial_vector(plan, 1), plan))
    (tmp_path / "same.npz").write_bytes((tmp_path / "one.npz").read_bytes())
    other = ModelSegmenter.of(save_model(tmp_path / "other.npz", initial_vector(plan, 2), plan))

    assert ModelSegmenter.of(tmp_path / "same.npz").identity == one.identity
    assert other.identity != one.identity


def test_what_is_no_model_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.npz").write_text("no model")
    with pytest.raises(ConfigError, match=r"notes\.npz"):
        ModelSegmenter.of(tmp_path / "notes.npz")
