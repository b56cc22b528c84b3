"""Our accountants of sampled releases against opacus', from which earlier versions took their figures."""

import itertools
import warnings

import numpy as np
import pytest

from ecg_flare.privacy import renyi
from ecg_flare.privacy.accountant import ORDERS, Composition, epsilon_prv, epsilon_rdp, spent
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.renyi import gaussian_divergence

GRID = [*itertools.product((0.5, 0.8, 2.0, 8.0, 50.0), (0.001, 0.02, 0.1, 0.5, 0.9))]


@pytest.mark.parametrize(("sigma", "q"), GRID)
def test_the_guarantee_is_opacus_to_a_billionth(sigma: float, q: float) -> None:
    from opacus.accountants.analysis.rdp import compute_rdp

    orders = np.array(ORDERS)
    theirs = compute_rdp(q=q, noise_multiplier=sigma, steps=1, orders=list(ORDERS))
    for count, delta in itertools.product((1, 30, 1000), (1e-4, 1e-6)):
        epsilons = count * theirs + np.log1p(-1 / orders) - (np.log(delta) + np.log(orders)) / (orders - 1)
        expected = max(0.0, float(np.nanmin(epsilons)))
        assert epsilon_rdp([GaussianEvent(sigma, q, count)], delta) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("q", [0.001, 0.3, 0.9])
def test_the_bound_for_little_noise_is_above_the_value_and_below_that_without_sampling(
    monkeypatch: pytest.MonkeyPatch, sigma: float, q: float
) -> None:
    orders = [1.1, 1.5, 2.0, 5.0]
    exact, whole = gaussian_divergence(sigma, q, orders), gaussian_divergence(sigma, 1.0, orders)
    monkeypatch.setattr(renyi, "_MAX_NODES", 0)
    bound = gaussian_divergence(sigma, q, orders)
    assert np.all(exact <= bound * (1 + 1e-12))
    assert np.all(bound <= whole * (1 + 1e-12))


def test_noise_of_almost_nothing_ends_in_a_figure() -> None:
    assert 1e5 < epsilon_rdp([GaussianEvent(1e-3, 0.5)], 1e-5) < 1e7


@pytest.mark.parametrize(
    "events",
    [
        [GaussianEvent(2.0, 0.5, 30)],
        [GaussianEvent(1.0, 0.01, 1000)],
        [GaussianEvent(8.0, 0.02)],
        [GaussianEvent(1.0, 0.3, 20), GaussianEvent(2.0, 1.0, 3), GaussianEvent(5.0, 0.9, 7)],
    ],
)
def test_the_tight_value_is_opacus_to_a_millionth(events: list[GaussianEvent]) -> None:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(event.noise_multiplier, event.sampling_rate, event.count) for event in events]
    error = 0.005 * min(1.0, max(epsilon_rdp(events, 1e-5), 0.01))
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        warnings.simplefilter("ignore")
        expected = accountant.get_epsilon(1e-5, eps_error=error)
    assert epsilon_prv(events, 1e-5) == pytest.approx(expected, abs=1e-6)


def test_a_composition_tells_what_all_its_events_do() -> None:
    events = [GaussianEvent(2.0, 0.5, 3), GaussianEvent(3.0), GaussianEvent(2.0, 0.5), GaussianEvent(1.0, 0.0, 2)]
    composed = Composition()
    for number, event in enumerate(events):
        after = composed.followed_by([event])
        expected = spent(events[: number + 1], 1e-5)
        assert after.spent(1e-5).epsilon_rdp == pytest.approx(expected.epsilon_rdp, rel=1e-12)
        assert after.spent(1e-5).epsilon_prv is None  # sampled: not a closed form
        composed.add([event])
    unsampled = Composition()
    unsampled.add([GaussianEvent(3.0, count=2), GaussianEvent(4.0)])
    assert unsampled.spent(1e-5) == spent([GaussianEvent(3.0, count=2), GaussianEvent(4.0)], 1e-5)
    assert Composition().spent(1e-5) == spent([], 1e-5)
