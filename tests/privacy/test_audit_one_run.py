"""The audit of one run, on runs whose truth is known."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.accountant import epsilon_prv
from ecg_flare.privacy.audit.one_run import (
    OneRun,
    audit_one_run,
    guesses_epsilon,
    guesses_p_value,
    mean_contribution,
    noise_upper_limit,
)
from ecg_flare.privacy.events import GaussianEvent

D, CANARIES, ROUNDS, SIGMA, RATE, DELTA = 1500, 48, 4, 0.8, 0.8, 1e-5
CLAIMED = epsilon_prv([GaussianEvent(SIGMA, RATE, ROUNDS)], DELTA) or math.inf


def play(
    seed: int,
    *,
    noise: float = SIGMA,
    size: float = 1.0,
    copies: int = 1,
    rate: float = RATE,
    others: float = 5.0,
    aligned: float = 0.9,
) -> OneRun:
    """Canaries that point nearly where the auditor expects, among ordinary patients who all pull the same way.

    noise, size, rate: what the mechanism does, whatever it claims. copies: names under which each canary is drawn.
    """
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(D) / math.sqrt(D)
    directions = rng.standard_normal((CANARIES, D)) / math.sqrt(D) + 0.3 * common
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    included = rng.random(CANARIES) < 0.5
    released = np.zeros((ROUNDS, D))
    for index in range(ROUNDS):
        astray = rng.standard_normal((CANARIES, D)) / math.sqrt(D)
        updates = aligned * directions + math.sqrt(1 - aligned**2) * astray
        drawn = included * rng.binomial(copies, rate, CANARIES)
        released[index] = others * common + size * drawn @ updates + noise * rng.standard_normal(D)
    return OneRun(released, directions, included, SIGMA, RATE, DELTA, CLAIMED)


def failed(run: OneRun) -> set[str]:
    return {result.name for result in audit_one_run(run) if not result.passed}


@pytest.mark.parametrize("seed", range(3))
def test_a_mechanism_that_keeps_its_word_passes(seed: int) -> None:
    assert failed(play(seed)) == set()


@pytest.mark.parametrize("seed", range(3))
def test_halved_noise_fails(seed: int) -> None:
    assert failed(play(seed, noise=SIGMA / 2)) == {"one-run noise", "one-run epsilon"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fault", [{"copies": 2}, {"size": 2.0}], ids=["two names", "counted twice"])
def test_a_patient_who_counts_twice_fails(seed: int, fault: dict[str, float]) -> None:
    assert failed(play(seed, **fault)) == {"one-run contribution", "one-run epsilon"}


def test_the_limits_hold_as_often_as_they_say() -> None:
    """An attacker who knows each update exactly: no slack hides a limit that is too high."""
    runs = [play(seed, aligned=1.0) for seed in range(300)]
    passed = [mean_contribution(run)[1] <= RATE for run in runs]
    assert sum(passed) >= 300 - 10  # 99 % of 300, less three and a half standard deviations
    noisy = [noise_upper_limit(run) >= SIGMA for run in runs]
    assert sum(noisy) >= 300 - 10


def test_the_noises_limit_is_close_and_data_only_raise_it() -> None:
    plain, pulled = (noise_upper_limit(play(3, others=others)) for others in (0.0, 50.0))
    assert SIGMA < plain < 1.05 * SIGMA
    assert pulled > plain


def test_the_contribution_is_found() -> None:
    sizes = [mean_contribution(run)[0] for run in (play(seed) for seed in range(40))]
    assert np.mean(sizes) == pytest.approx(0.9 * RATE, abs=0.08)


def exact_p_value(canaries: int, guesses: int, right: int, odds: Fraction, delta: Fraction) -> Fraction:
    """Theorem 5.2, term by term."""
    mass = [Fraction(math.comb(guesses, n)) * odds**n * (1 - odds) ** (guesses - n) for n in range(guesses + 1)]
    tail = [sum(mass[n:], Fraction(0)) for n in range(guesses + 1)]
    slope = max((tail[right - i] - tail[right]) / i for i in range(1, right + 1))
    return tail[right] + 2 * canaries * delta * slope


@pytest.mark.parametrize(("canaries", "guesses", "right"), [(60, 30, 30), (60, 30, 24), (20, 8, 5), (10, 10, 1)])
@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 100_000), Fraction(1, 1000)])
def test_the_p_value_is_the_theorems(canaries: int, guesses: int, right: int, delta: Fraction) -> None:
    odds = Fraction(3, 4)
    found = guesses_p_value(canaries, guesses, right, epsilon=math.log(3), delta=float(delta))
    assert found == pytest.approx(min(1.0, float(exact_p_value(canaries, guesses, right, odds, delta))), rel=1e-9)


def test_all_guesses_right_show_the_epsilon_of_the_closed_form() -> None:
    accuracy = 0.05 ** (1 / 30)
    assert guesses_epsilon(60, 30, 30, delta=0.0) == pytest.approx(math.log(accuracy / (1 - accuracy)), abs=1e-5)
    assert guesses_epsilon(60, 30, 15, delta=0.0) == 0
    assert guesses_epsilon(60, 30, 30, delta=1e-3) < guesses_epsilon(60, 30, 30, delta=0.0)


def test_guesses_of_randomized_response_show_no_more_than_its_epsilon() -> None:
    """The mechanism for which the theorem is exact, 2,000 times."""
    rng, epsilon = np.random.default_rng(5), 1.0
    right = rng.binomial(50, 1 / (1 + math.exp(-epsilon)), 2000)
    shown = {count: guesses_epsilon(50, 50, int(count), delta=0.0) for count in np.unique(right)}
    assert np.mean([shown[count] > epsilon for count in right]) <= 0.05


@pytest.mark.parametrize(
    "change",
    [
        {"included": np.ones(CANARIES, bool)},
        {"included": np.ones(CANARIES - 1, bool)},
        {"released": np.zeros((ROUNDS, D - 1))},
        {"released": np.zeros((ROUNDS, 90)), "directions": np.zeros((CANARIES, 90))},
    ],
)
def test_a_run_that_can_tell_nothing_is_refused(change: dict[str, np.ndarray]) -> None:
    with pytest.raises(ConfigError):
        replace(play(0), **change)
