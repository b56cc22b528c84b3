"""The average of past models, against the weighted mean written out."""

import doctest
import sys
from pathlib import Path

import numpy as np
import pytest

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.private_learning import averaging
from benchmarks.private_learning.averaging import Average, IterateAverage

from ecg_flare.errors import ConfigError


def averaged(decay: float, models: np.ndarray) -> Average:
    state = None
    for model in models:
        state = IterateAverage(decay).step(state, model)
    assert state is not None
    return state


@pytest.mark.parametrize("decay", [0.1, 0.8, 0.99])
def test_is_the_weighted_mean_written_out(decay: float) -> None:
    models = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    weights = decay ** np.arange(7)[::-1]
    expected = weights @ models.astype(np.float64) / weights.sum()
    state = averaged(decay, models)
    assert state.models == 7
    np.testing.assert_allclose(state.vector, expected, rtol=1e-12)
    assert state.model.dtype == np.float32


def test_without_decay_it_is_the_last_model() -> None:
    models = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(averaged(0.0, models).model, models[-1])


def test_models_that_agree_are_their_own_average() -> None:
    model = np.float32([0.1, -3.0])
    np.testing.assert_allclose(averaged(0.9, np.stack([model] * 20)).vector, model, rtol=1e-12)


def test_independent_noise_shrinks_by_the_effective_number_of_rounds() -> None:
    # variance of the mean: (1 - decay) / (1 + decay) once many rounds are in
    noise = np.random.default_rng(2).normal(size=(60, 20_000)).astype(np.float32)
    assert averaged(0.8, noise).vector.var() == pytest.approx(0.2 / 1.8, rel=0.05)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_impossible_decays_are_named(decay: float) -> None:
    with pytest.raises(ConfigError, match=f"decay is {decay}"):
        IterateAverage(decay)


def test_examples_in_the_documentation() -> None:
    results = doctest.testmod(averaging)
    assert results.attempted >= 2
    assert results.failed == 0
