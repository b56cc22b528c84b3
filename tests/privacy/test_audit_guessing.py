"""The statistics of the audits against other derivations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from ecg_flare.privacy.accountant import epsilon_prv
from ecg_flare.privacy.audit.guessing import Errors, clopper_pearson_upper, count_errors, held_out_worth
from ecg_flare.privacy.audit.inversion import best_correlation, invert_linear_layer
from ecg_flare.privacy.audit.membership import area_under_curve, best_advantage, largest_advantage
from ecg_flare.privacy.audit.one_shot import epsilon_between_gaussians
from ecg_flare.privacy.audit.sensitivity import LENGTHS, trying_updates
from ecg_flare.privacy.events import GaussianEvent


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (17, 500)])
def test_clopper_pearson_is_scipys_exact_interval(successes: int, trials: int) -> None:
    exact = stats.binomtest(successes, trials).proportion_ci(0.98, method="exact")
    assert clopper_pearson_upper(successes, trials, 0.99) == pytest.approx(exact.high)


def test_errors_by_hand() -> None:
    errors = count_errors(np.arange(100.0), np.arange(50.0, 150.0), 79.0, 0.98)
    assert errors.false_positive == pytest.approx(clopper_pearson_upper(20, 100, 0.99))
    assert errors.false_negative == pytest.approx(clopper_pearson_upper(30, 100, 0.99))


def test_the_threshold_is_judged_by_trials_that_did_not_choose_it() -> None:
    # every fourth trial is told apart with ease, the others are all alike: nothing is left
    absent, present = np.zeros(400), np.zeros(400)
    present[::4] = 1.0

    def advantage(errors: Errors) -> float:
        return 1 - errors.false_positive - errors.false_negative

    assert held_out_worth(absent, present, advantage, 0.99) < 0
    present[:] = 1.0
    assert held_out_worth(absent, present, advantage, 0.99) > 0.9


@pytest.mark.parametrize("mean", [0.2, 1.0, 3.0])
def test_equal_widths_give_the_gaussian_mechanism(mean: float) -> None:
    exact = epsilon_prv([GaussianEvent(1 / mean)], 1e-5)
    assert epsilon_between_gaussians(mean, 1.0, 1e-5) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize(("mean", "deviation"), [(1.0, 1.1), (0.5, 0.9)])
def test_unequal_widths_against_quadrature(mean: float, deviation: float) -> None:
    epsilon = epsilon_between_gaussians(mean, deviation, 1e-3)
    null, other = stats.norm(), stats.norm(mean, deviation)

    def divergence(p: stats.rv_continuous, q: stats.rv_continuous) -> float:
        excess = lambda x: max(0.0, p.pdf(x) - math.exp(epsilon) * q.pdf(x))  # noqa: E731
        return sum(integrate.quad(excess, low, low + 1)[0] for low in range(-12, 14))

    assert max(divergence(null, other), divergence(other, null)) == pytest.approx(1e-3, rel=1e-3)


@given(st.floats(0, 8), st.floats(0, 0.5))
def test_the_largest_advantage_is_the_corner_of_the_region(epsilon: float, delta: float) -> None:
    # Kairouz et al.: fpr + e^eps fnr >= 1 - delta and its mirror image meet where both errors are equal
    error = (1 - delta) / (1 + math.exp(epsilon))
    assert largest_advantage(epsilon, delta) == pytest.approx(1 - 2 * error, abs=1e-12)


def test_area_and_advantage_against_all_pairs() -> None:
    rng = np.random.default_rng(4)
    outside, inside = rng.integers(0, 8, 60).astype(float), rng.integers(2, 10, 40).astype(float)
    pairs = [(a < b) + 0.5 * (a == b) for a in outside for b in inside]
    assert area_under_curve(outside, inside) == pytest.approx(np.mean(pairs))
    by_hand = max(np.mean(inside > cut) - np.mean(outside > cut) for cut in np.arange(-1, 11))
    assert best_advantage(outside, inside) == pytest.approx(by_hand)


def test_a_linear_layer_gives_its_input_away() -> None:
    image = np.array([0.2, 0.9, 0.4])
    errors = np.array([0.5, 0.0, -0.25])
    update = np.concatenate([np.outer(errors, image).ravel(), errors, [7.0]])
    readings = invert_linear_layer(update, 3, 3)
    assert readings[[0, 2]] == pytest.approx(np.array([image, image]))
    assert readings[1].tolist() == [0, 0, 0]
    assert best_correlation(readings, image) == pytest.approx(1)
    assert best_correlation(readings[[1]], image) == 0


def test_tried_updates_have_the_lengths() -> None:
    rows = trying_updates(np.random.default_rng(0), 30, clipping_norm=0.5)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows.astype(float), axis=1) == pytest.approx(0.5 * np.repeat(LENGTHS, 3), rel=1e-6)
