"""Epsilon against dp-accounting, opacus and closed forms."""

import doctest
import math
import warnings

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

from ecg_flare.errors import ConfigError
from ecg_flare.privacy import accountant
from ecg_flare.privacy.accountant import ORDERS, epsilon_prv, epsilon_rdp, noise_multiplier_for, spent
from ecg_flare.privacy.events import GaussianEvent, merge

DELTA = 1e-5

# sigma, q, T, epsilon by RDP, epsilon by PLD (measured with opacus 1.6.0 and dp-accounting 0.6.0)
TABLE = [
    (1, 1, 10, 19.05, 17.86),
    (1, 1, 50, 57.30, 54.4),
    (1, 1, 100, 96.12, 91.82),
    (1, 0.3, 100, 24.51, 22.52),
    (1, 0.01, 1000, 2.10, 1.83),
    (5, 1, 100, 10.7, 10.0),
    (10, 1, 100, 4.73, 4.38),
    (20, 1, 100, 2.17, 1.99),
]


def last_digit(value: float) -> float:
    """Half a unit of the last digit that the table prints."""
    return 0.5 * 10.0 ** -len(str(value).partition(".")[2]) + 1e-9


def oracle_event(sigma: float, q: float, count: int) -> SelfComposedDpEvent:
    gaussian = GaussianDpEvent(sigma)
    return SelfComposedDpEvent(gaussian if q == 1 else PoissonSampledDpEvent(q, gaussian), count)


@pytest.mark.parametrize(("sigma", "q", "count", "rdp", "tight"), TABLE)
def test_table(sigma: float, q: float, count: int, rdp: float, tight: float) -> None:
    figures = spent([GaussianEvent(sigma, q, count)], DELTA)
    assert figures.epsilon_rdp == pytest.approx(rdp, abs=last_digit(rdp))
    # under sampling PRV is the upper end of an interval
    assert figures.epsilon_prv == pytest.approx(tight, abs=last_digit(tight) + (0.01 if q < 1 else 0))


@pytest.mark.parametrize(("sigma", "q", "count"), [row[:3] for row in TABLE])
def test_rdp_equals_the_independent_one(sigma: float, q: float, count: int) -> None:
    oracle = RdpAccountant(orders=list(ORDERS)).compose(oracle_event(sigma, q, count)).get_epsilon(DELTA)
    assert epsilon_rdp([GaussianEvent(sigma, q, count)], DELTA) == pytest.approx(oracle, rel=1e-6)


@pytest.mark.parametrize(
    ("sigma", "q", "count"), [(1, 1, 10), (5, 1, 100), (20, 1, 100), (1, 0.3, 100), (1, 0.01, 1000), (3, 0.1, 50)]
)
def test_rdp_is_above_and_prv_within_one_percent_of_the_loss_distribution(sigma: float, q: float, count: int) -> None:
    exact = PLDAccountant().compose(oracle_event(sigma, q, count)).get_epsilon(DELTA)
    event = GaussianEvent(sigma, q, count)
    assert epsilon_rdp([event], DELTA) > exact
    assert epsilon_prv([event], DELTA) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 6.4, 37.3])
@pytest.mark.parametrize("count", [1, 10, 100])
def test_closed_form_without_sampling_equals_opacus(sigma: float, count: int) -> None:
    from opacus.accountants import RDPAccountant

    opacus = RDPAccountant()
    opacus.history = [(sigma, 1.0, count)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own_orders = opacus.get_epsilon(DELTA, alphas=list(ORDERS))
        default_orders = opacus.get_epsilon(DELTA)
    epsilon = epsilon_rdp([GaussianEvent(sigma, count=count)], DELTA)
    assert epsilon == pytest.approx(own_orders, rel=1e-12)
    assert epsilon <= default_orders * (1 + 1e-12)


def test_releases_without_sampling_compose_exactly_whatever_their_noise() -> None:
    # 1 / 3^2 + 1 / 4^2 = 1 / 2.4^2
    parts = [GaussianEvent(3.0), GaussianEvent(4.0)]
    whole = [GaussianEvent(2.4)]
    assert epsilon_prv(parts, DELTA) == pytest.approx(epsilon_prv(whole, DELTA), rel=1e-9)
    assert epsilon_rdp(parts, DELTA) == pytest.approx(epsilon_rdp(whole, DELTA), rel=1e-12)


def test_tight_value_solves_the_equation_of_the_gaussian_mechanism() -> None:
    from scipy.stats import norm

    epsilon, mu = epsilon_prv([GaussianEvent(2.0, count=9)], DELTA), 1.5
    assert epsilon is not None
    delta = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert delta == pytest.approx(DELTA, rel=1e-6)


def test_mixed_sampling_costs_more_than_either_part() -> None:
    parts = [GaussianEvent(1.0, 0.3, 20), GaussianEvent(2.0, 1.0, 3)]
    both = spent(parts, DELTA)
    assert both.epsilon_prv is not None
    assert max(epsilon_rdp([part], DELTA) for part in parts) < both.epsilon_rdp
    assert both.epsilon_prv < both.epsilon_rdp < sum(epsilon_rdp([part], DELTA) for part in parts)
    oracle = PLDAccountant().compose(oracle_event(1.0, 0.3, 20)).compose(oracle_event(2.0, 1.0, 3))
    assert both.epsilon_prv == pytest.approx(oracle.get_epsilon(DELTA), rel=0.01)


def test_nothing_released_costs_nothing() -> None:
    for events in ([], [GaussianEvent(1.0, sampling_rate=0.0, count=5)]):
        figures = spent(events, DELTA)
        assert (figures.epsilon_rdp, figures.epsilon_prv) == (0.0, 0.0)


def test_so_much_noise_that_delta_alone_covers_it() -> None:
    assert epsilon_prv([GaussianEvent(1e6)], DELTA) == 0.0


def test_tight_value_is_withheld_where_float64_cannot_carry_it() -> None:
    assert epsilon_prv([GaussianEvent(0.1, count=100)], DELTA) is None
    assert epsilon_prv([GaussianEvent(1.0, 0.1)], 1e-11) is None
    assert epsilon_rdp([GaussianEvent(1.0, 0.1)], 1e-11) > 0


@pytest.mark.parametrize(("epsilon", "sigma"), [(1, 37.3), (2, 19.9), (4, 10.8), (8, 6.0)])
def test_published_noise_spends_its_epsilon(epsilon: float, sigma: float) -> None:
    assert epsilon_prv([GaussianEvent(sigma, count=100)], DELTA) == pytest.approx(epsilon, rel=0.01)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 8.0])
def test_noise_multiplier_is_the_smallest_that_suffices(epsilon: float) -> None:
    sigma = noise_multiplier_for(epsilon, DELTA, rounds=100)
    assert epsilon_rdp([GaussianEvent(sigma, count=100)], DELTA) <= epsilon
    assert epsilon_rdp([GaussianEvent(sigma * 0.999, count=100)], DELTA) > epsilon


def test_sampling_needs_less_noise() -> None:
    sampled = noise_multiplier_for(4.0, DELTA, sampling_rate=0.1, rounds=50)
    assert epsilon_rdp([GaussianEvent(sampled, 0.1, 50)], DELTA) <= 4.0
    assert sampled < noise_multiplier_for(4.0, DELTA, rounds=50) / 4


def test_equal_events_are_counted_together() -> None:
    events = [GaussianEvent(1.0), GaussianEvent(2.0), GaussianEvent(1.0, count=3)]
    assert merge(events) == (GaussianEvent(1.0, count=4), GaussianEvent(2.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_multiplier": math.nan}, "noise_multiplier is nan"),
        ({"noise_multiplier": -1.0}, "noise_multiplier is -1.0"),
        ({"noise_multiplier": 0.0}, "noise_multiplier is 0.0"),
        ({"noise_multiplier": math.inf}, "noise_multiplier is inf"),
        ({"noise_multiplier": 1.0, "sampling_rate": 1.01}, "sampling_rate is 1.01"),
        ({"noise_multiplier": 1.0, "sampling_rate": -0.01}, "sampling_rate is -0.01"),
        ({"noise_multiplier": 1.0, "sampling_rate": math.nan}, "sampling_rate is nan"),
        ({"noise_multiplier": 1.0, "count": 0}, "count is 0"),
    ],
)
def test_impossible_events_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GaussianEvent(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan])
def test_impossible_deltas_are_named(delta: float) -> None:
    for figure in (epsilon_rdp, epsilon_prv):
        with pytest.raises(ConfigError, match=f"delta is {delta}"):
            figure([GaussianEvent(1.0)], delta)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, 1e-7])
def test_impossible_budgets_are_named(epsilon: float) -> None:
    with pytest.raises(ConfigError, match=f"epsilon (is )?{epsilon}"):
        noise_multiplier_for(epsilon, DELTA, rounds=10)


def test_examples_in_the_documentation() -> None:
    results = doctest.testmod(accountant)
    assert results.attempted >= 2
    assert results.failed == 0
