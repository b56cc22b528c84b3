"""The delta of a promise, and that no accountant tells an epsilon below 0."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.errors import ConfigError
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.parts import Clipping, Privacy, Roster, Sampling
from ecg_flare.federated.promise import check_promise
from ecg_flare.federated.round import OpenRound
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.accountant import Composition, epsilon_prv, epsilon_rdp, noise_multiplier_for
from ecg_flare.privacy.delta import check_delta, largest_power
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.planning import Population, plan, tight_noise_multiplier
from ecg_flare.privacy.second_accountant import spent_by_opacus


@given(units=st.integers(1, 10**7), delta=st.floats(1e-9, 0.999))
def test_a_delta_is_below_one_over_the_number_of_units(units: int, delta: float) -> None:
    if delta < 1 / units:
        check_delta(delta, "patient", units)
    elif delta > 1 / units:
        with pytest.raises(ConfigError, match=f"for {units} patients, expected it below"):
            check_delta(delta, "patient", units)


def test_one_over_the_number_itself_promises_nothing() -> None:
    with pytest.raises(ConfigError, match=r"delta is 0\.0001 for 10000 patients.*take 1e-05"):
        check_delta(1e-4, "patient", 10_000)


@given(st.integers(1, 10**9))
def test_the_delta_that_is_recommended_is_taken(units: int) -> None:
    check_delta(largest_power(units), "site", units)


def test_no_round_opens_at_a_delta_that_promises_nothing() -> None:
    def terms(delta: float, sampling: Sampling | None) -> JobTerms:
        roster = Roster({"a": 1.0, "b": 1.0, "c": 1.0}, min_sites=2)
        return JobTerms(roster, clipping=Clipping(1.0), privacy=Privacy(1.0, 8.0, delta), sampling=sampling)

    def opened(terms: JobTerms) -> OpenRound:
        return OpenRound(terms, np.zeros(4, np.float32), FedAvg().init(4), FedAvg())

    patients = Sampling(0.05, patients=19_000, patients_per_site=8_000)
    for good in (terms(0.3, None), terms(5e-5, patients)):
        assert check_promise(good) is opened(good).terms is good
    for bad, named in (
        (terms(0.34, None), r"delta is 0\.34 for 3 sites"),
        (terms(1e-3, patients), r"delta is 0\.001 for 19000 patients"),
    ):
        for begin in (check_promise, opened):
            with pytest.raises(ConfigError, match=named):
                begin(bad)


@settings(max_examples=8)
@given(sigma=st.floats(0.5, 4), rate=st.floats(1e-3, 1), count=st.integers(1, 40), delta=st.floats(1e-6, 0.999))
def test_no_accountant_tells_less_than_nothing(sigma: float, rate: float, count: int, delta: float) -> None:
    events = [GaussianEvent(sigma, rate, count)]
    composed = Composition()
    composed.add(events)
    told = composed.spent(delta)
    tight = epsilon_prv(events, delta)
    guarantee = epsilon_rdp(events, delta)
    assert guarantee >= 0
    assert told.epsilon_rdp == pytest.approx(guarantee)
    assert told.epsilon_prv is None or told.epsilon_prv >= 0
    assert tight is None or 0 <= tight <= max(1.01 * guarantee, 0.01)


@pytest.mark.parametrize("delta", [1e-5, 0.5])
def test_nor_does_opacus(delta: float) -> None:
    other = spent_by_opacus([GaussianEvent(1.0, 0.05, 20)], delta)
    assert other.epsilon_prv is not None
    assert other.epsilon_prv >= 0
    assert other.epsilon_rdp >= 0


def test_noise_that_hardly_anybody_needs_is_planned_to_its_end() -> None:
    """Ten draws at a chance of 1 in 10^7 change the outcome with less than delta: no noise costs anything."""
    planned = plan(Population("patient", 19_000, 1e-7), rounds=10, epsilon=0.5, delta=1e-5, parameters=1000)
    assert planned.noise_multiplier_prv is None  # half the noise would cost nothing, too
    assert planned.spent.epsilon_prv is None or planned.spent.epsilon_prv >= 0


@pytest.mark.parametrize(("rate", "delta"), [(0.05, 0.5), (0.5, 0.9)])
def test_the_tight_noise_is_found_wherever_delta_is(rate: float, delta: float) -> None:
    sigma = tight_noise_multiplier(4.0, delta, sampling_rate=rate, rounds=20)
    if sigma is None:  # half the noise of the guarantee is more than enough
        half = noise_multiplier_for(4.0, delta, sampling_rate=rate, rounds=20) / 2
        cost = epsilon_prv([GaussianEvent(half, rate, 20)], delta)
        assert cost is not None
        assert cost <= 4.0
        return
    spent = epsilon_prv([GaussianEvent(sigma, rate, 20)], delta)
    assert spent is None or spent <= 4.0
    less = epsilon_prv([GaussianEvent(sigma * 0.98, rate, 20)], delta)
    assert less is None or less > 4.0
