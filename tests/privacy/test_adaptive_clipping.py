"""C follows the paper's rule, and update and count together cost what the round is charged for."""

import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent
from dp_accounting.pld import PLDAccountant

from ecg_flare.errors import ConfigError, PrivacyError
from ecg_flare.privacy.accountant import epsilon_prv, epsilon_rdp
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping, suggested
from ecg_flare.privacy.events import GaussianEvent

RULE = AdaptiveClipping(quantile=0.5, rate=0.2, count_noise=5.0, least=0.01, most=10.0)


def rule(**changes: float) -> AdaptiveClipping:
    values = {"quantile": 0.5, "rate": 0.2, "count_noise": 5.0, "least": 0.01, "most": 10.0}
    return AdaptiveClipping(**(values | changes))


def test_the_norm_moves_as_in_the_paper() -> None:
    # Andrew et al. 2021, algorithm 1, last line, with eta = 0.2
    assert rule(quantile=0.5).next_norm(0.1, 1.0) == pytest.approx(0.0904837418035960)  # 0.1 e^-0.1
    assert rule(quantile=0.5).next_norm(0.1, 0.0) == pytest.approx(0.1105170918075648)  # 0.1 e^0.1
    assert rule(quantile=0.9).next_norm(1.0, 0.4) == pytest.approx(1.1051709180756477)
    assert rule(quantile=0.3).next_norm(2.0, 0.3) == 2.0


@pytest.mark.parametrize(
    ("z", "count_noise", "left"),
    [(1.0, 5.0, 1.005037815259212), (0.8, 2.0, 0.816496580927726), (0.5, 0.5, 0.577350269189626)],
)
def test_noise_multiplier_of_the_update_is_the_papers(z: float, count_noise: float, left: float) -> None:
    # theorem 1: (z^-2 - (2 sigma_b)^-2)^(-1/2)
    one = rule(count_noise=count_noise)
    assert one.update_noise_multiplier(z) == pytest.approx(left, rel=1e-14)
    assert one.stretch(z) == pytest.approx(left / z, rel=1e-14)


def test_an_update_with_its_bit_is_as_long_as_claimed_and_both_have_the_papers_noise() -> None:
    z, norm = 0.8, 0.3
    one = rule(count_noise=2.0)
    bit = one.bit(norm, z)
    longest = norm * one.stretch(z)
    assert math.hypot(norm, bit) == pytest.approx(longest, rel=1e-14)
    deviation = z * longest  # of the noise on every coordinate
    assert deviation / norm == pytest.approx(one.update_noise_multiplier(z), rel=1e-14)
    assert deviation / (2 * bit) == pytest.approx(one.count_noise, rel=1e-14)  # 2 * bit is one patient more


@pytest.mark.parametrize(("z", "count_noise", "rounds"), [(1.0, 5.0, 10), (0.8, 1.0, 3), (5.0, 2.6, 100)])
def test_sum_and_count_apart_cost_what_the_round_is_charged_for(z: float, count_noise: float, rounds: int) -> None:
    sum_alone = rule(count_noise=count_noise).update_noise_multiplier(z)
    apart = [GaussianEvent(sum_alone, count=rounds), GaussianEvent(2 * count_noise, count=rounds)]
    charged = [GaussianEvent(z, count=rounds)]
    assert epsilon_rdp(apart, 1e-5) == pytest.approx(epsilon_rdp(charged, 1e-5), rel=1e-12)
    assert epsilon_prv(apart, 1e-5) == pytest.approx(epsilon_prv(charged, 1e-5), rel=1e-9)
    oracle = PLDAccountant()
    for deviation in (sum_alone, 2 * count_noise):
        oracle.compose(GaussianDpEvent(deviation), rounds)
    assert epsilon_prv(charged, 1e-5) == pytest.approx(oracle.get_epsilon(1e-5), rel=2e-3)


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
def test_without_noise_the_norm_finds_the_quantile(quantile: float) -> None:
    lengths = np.random.default_rng(3).lognormal(mean=-2.0, sigma=0.5, size=2000)
    norm = 1.0
    for _ in range(200):
        norm = rule(quantile=quantile).next_norm(norm, float(np.mean(lengths <= norm)))
    assert norm == pytest.approx(np.quantile(lengths, quantile), rel=0.02)


def test_the_norm_stays_within_its_bounds_and_knows_its_history() -> None:
    assert RULE.next_norm(10.0, 0.0) == 10.0
    assert RULE.next_norm(0.01, 1.0) == 0.01
    assert RULE.norm_after(1.0, ()) == 1.0
    assert RULE.norm_after(1.0, (1.0, 0.0, 0.75)) == pytest.approx(math.exp(-0.05))
    for share in (-0.01, 1.01, math.nan):
        with pytest.raises(PrivacyError, match="expected it from 0 to 1"):
            RULE.next_norm(1.0, share)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"quantile": 0.0}, "quantile is 0.0"),
        ({"quantile": 1.0}, "quantile is 1.0"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"count_noise": math.inf}, "count_noise is inf"),
        ({"least": math.nan}, "least is nan"),
        ({"least": 11.0}, "least is 11.0, above most=10.0"),
    ],
)
def test_impossible_rules_are_refused_by_name(changes: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        rule(**changes)


def test_a_round_needs_a_norm_within_the_bounds_and_noise_left_for_the_update() -> None:
    RULE.check(10.0, 9.99)
    with pytest.raises(ConfigError, match=r"clipping_norm is 10\.1, .* 0\.01 to 10\.0"):
        RULE.check(10.1, 1.0)
    with pytest.raises(ConfigError, match=r"count_noise is 5\.0, .* half the noise multiplier 10\.0"):
        RULE.check(1.0, 10.0)


def test_suggested_settings_are_the_papers_and_cost_the_update_two_percent_at_most() -> None:
    many = suggested(0.5, clipping_norm=0.1, noise_multiplier=1.0, expected_patients=1000.0)
    assert (many.rate, many.count_noise, many.least, many.most) == (0.2, 50.0, 0.01, 1.0)
    few = suggested(0.5, clipping_norm=0.1, noise_multiplier=1.0, expected_patients=10.0)
    assert few.stretch(1.0) == pytest.approx(1.0206, abs=1e-4)
