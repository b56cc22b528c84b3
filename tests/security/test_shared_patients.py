"""A patient with pages at several sites, which draw independently: what is accounted is never below the truth.

The oracle is the mechanism itself, integrated: each site draws the patient with rate q, so that the sum moves by the
weights of those that drew, under noise of standard deviation `sigma * W`, W the sum of all weights.
"""

import itertools
from collections.abc import Iterable
from functools import reduce

import numpy as np
import pytest
from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution, from_gaussian_mechanism
from opacus.accountants.analysis.rdp import compute_rdp
from scipy.special import logsumexp
from scipy.stats import norm

from ecg_flare.privacy.events import GaussianEvent, round_events

WEIGHTS = [(1.0, 1.0), (1.0,) * 5, (3.0, 1.0, 0.25)]
RATES = (0.05, 0.5, 0.9)
SIGMAS = (0.4, 1.0, 6.0)
GRID = list(itertools.product(WEIGHTS, RATES, SIGMAS))
EPSILONS = np.linspace(0, 8, 33)
ORDERS = (1.5, 2.0, 3.0, 6.0, 16.0, 64.0)


def log_densities(
    weights: tuple[float, ...], q: float, sigma: float, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, log density of the sum without the patient, and with), by summing over who drew."""
    total = sum(weights)
    scale = sigma * total
    x = np.linspace(-14 * scale - reach, total + 14 * scale + reach, 60_001)
    parts = []
    for drew in itertools.product((False, True), repeat=len(weights)):
        chance = np.prod([q if one else 1 - q for one in drew])
        moved = sum(weight for weight, one in zip(weights, drew, strict=True) if one)
        parts.append(np.log(chance) + norm.logpdf(x, moved, scale))
    return x, norm.logpdf(x, 0, scale), logsumexp(parts, axis=0)


def true_delta(weights: tuple[float, ...], q: float, sigma: float) -> np.ndarray:
    """The larger delta of the two directions, at each epsilon."""
    x, without, with_patient = log_densities(weights, q, sigma, reach=0.0)
    absent, present, step = np.exp(without), np.exp(with_patient), x[1] - x[0]
    return np.array(
        [
            max(np.maximum(p - np.exp(e) * r, 0).sum() for p, r in ((present, absent), (absent, present))) * step
            for e in EPSILONS
        ]
    )


def accounted_delta(events: Iterable[GaussianEvent]) -> np.ndarray:
    """dp-accounting's composition of the events, a little above the exact one."""

    def losses(event: GaussianEvent) -> PrivacyLossDistribution:
        one = from_gaussian_mechanism(
            event.noise_multiplier, sampling_prob=event.sampling_rate, value_discretization_interval=1e-3
        )
        return one.self_compose(event.count)

    composed = reduce(lambda one, other: one.compose(other), map(losses, events))
    return np.array([composed.get_delta_for_epsilon(e) for e in EPSILONS])


@pytest.mark.parametrize(("weights", "q", "sigma"), GRID)
def test_the_accounted_delta_is_at_least_the_true_one_at_every_epsilon(
    weights: tuple[float, ...], q: float, sigma: float
) -> None:
    accounted = accounted_delta(round_events(sigma, q, weights, shared=True))
    true = true_delta(weights, q, sigma)
    assert np.all(true <= accounted * (1 + 1e-5) + 1e-9)


@pytest.mark.parametrize(("weights", "q", "sigma"), GRID)
def test_the_accounted_renyi_divergence_is_at_least_the_true_one_at_every_order(
    weights: tuple[float, ...], q: float, sigma: float
) -> None:
    events = round_events(sigma, q, weights, shared=True)
    for order in ORDERS:
        x, without, with_patient = log_densities(weights, q, sigma, reach=order * sum(weights))
        step = np.log(x[1] - x[0])
        true = max(
            (logsumexp(order * p + (1 - order) * r) + step) / (order - 1)
            for p, r in ((with_patient, without), (without, with_patient))
        )
        accounted = sum(
            event.count
            * float(compute_rdp(q=event.sampling_rate, noise_multiplier=event.noise_multiplier, steps=1, orders=order))
            for event in events
        )
        assert true <= accounted * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("weights", WEIGHTS)
def test_without_sampling_the_composition_is_exact(weights: tuple[float, ...]) -> None:
    events = round_events(1.7, 1.0, weights, shared=True)
    assert sum(event.count / event.noise_multiplier**2 for event in events) == pytest.approx(1 / 1.7**2, rel=1e-12)


def test_one_draw_for_all_sites_would_be_below_the_truth() -> None:
    weights, q, sigma = (1.0,) * 10, 0.05, 0.4
    assert true_delta(weights, q, sigma)[0] > 1.2 * accounted_delta([GaussianEvent(sigma, q)])[0]


def test_a_patient_of_one_site_is_one_release() -> None:
    assert round_events(0.8, 0.3, (1.0, 2.0), shared=False) == (GaussianEvent(0.8, 0.3),)
