"""Plans against closed forms, and the bounds of what they say."""

import math
import re
from pathlib import Path

import pytest
from scipy.stats import norm

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.accountant import noise_multiplier_for
from ecg_flare.privacy.planning import (
    NoisePlan,
    Population,
    noise_to_signal,
    noise_words,
    outlook,
    plan,
    tight_noise_multiplier,
)


def delta_of(sigma: float, rounds: int, epsilon: float) -> float:
    """Balle & Wang 2018, theorem 8, for `rounds` releases at noise multiplier sigma."""
    mu = math.sqrt(rounds) / sigma
    return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu))


def sites(**changes: object) -> NoisePlan:
    values: dict[str, object] = {
        "unit": "site", "units": 10, "rounds": 100, "epsilon": 4.0, "delta": 1e-5, "parameters": 50_000
    }  # fmt: skip
    values |= changes
    population = Population(*(values.pop(name) for name in ("unit", "units")), values.pop("sampling_rate", 1.0))
    return plan(population, **values)  # type: ignore[arg-type]


def test_the_ratios_of_the_papers() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "privacy.md").read_text()
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\|(?: [\d.e+]+ \|){5}$", text, re.MULTILINE)]
    assert [row[0] for row in rows] == ["3", "100", "407", "1000", "19000"]
    noise = [noise_multiplier_for(epsilon, 1e-5, rounds=100) for epsilon in (1, 2, 4, 8)]
    for units, *told in rows:
        computed = [noise_to_signal(sigma, parameters=121_348, units=int(units)) for sigma in noise]
        assert [float(ratio) for ratio in told] == pytest.approx(computed, rel=0.01)


# the table of docs/privacy.md
@pytest.mark.parametrize(
    ("epsilon", "by_rdp", "by_prv"), [(1, 40.5, 37.3), (2, 21.5, 19.9), (4, 11.6, 10.8), (8, 6.4, 6.0)]
)
def test_noise_for_a_hundred_rounds(epsilon: float, by_rdp: float, by_prv: float) -> None:
    planned = sites(epsilon=epsilon)
    assert planned.noise_multiplier == pytest.approx(by_rdp, abs=0.051)
    assert planned.noise_multiplier_prv == pytest.approx(by_prv, abs=0.051)
    assert delta_of(planned.noise_multiplier, 100, epsilon) < 1e-5


@pytest.mark.parametrize(("epsilon", "delta", "rounds"), [(0.1, 1e-5, 1), (1.0, 1e-6, 7), (30.0, 1e-5, 1000)])
def test_tight_noise_solves_the_closed_form(epsilon: float, delta: float, rounds: int) -> None:
    sigma = tight_noise_multiplier(epsilon, delta, rounds=rounds)
    assert sigma is not None
    assert delta_of(sigma, rounds, epsilon) <= delta
    assert delta_of(sigma, rounds, epsilon * (1 - 1e-3)) >= delta


def test_tight_noise_is_told_only_where_it_can_be_computed() -> None:
    assert tight_noise_multiplier(600.0, 1e-5, rounds=100) is None


def test_sampled_patients() -> None:
    population = Population("patient", 1000, 0.2)
    planned = plan(population, rounds=40, epsilon=4.0, delta=1e-5, parameters=121_348)
    assert planned.spent.epsilon_rdp <= 4.0
    assert planned.noise_multiplier_prv is not None
    assert 0.8 < planned.noise_multiplier_prv / planned.noise_multiplier < 1
    assert planned.noise_to_signal == pytest.approx(planned.noise_multiplier * math.sqrt(121_348) / 200)
    assert planned.outlook == "slowed"


def test_epsilon_grows_with_the_rounds_up_to_the_promise() -> None:
    planned = sites()
    assert [cost.rounds for cost in planned.costs] == [10, 25, 50, 100]
    figures = [cost.spent.epsilon_rdp for cost in planned.costs]
    assert figures == sorted(figures)
    assert figures[-1] == planned.spent.epsilon_rdp == pytest.approx(4.0, rel=1e-3)
    assert [cost.rounds for cost in sites(rounds=1).costs] == [1]


@pytest.mark.parametrize(
    ("ratio", "expected", "said"),
    [
        (0.5, "learns", "can follow"),
        (1.0, "learns", "can follow"),
        (8.0, "slowed", "cost a pretrained start nothing"),
        (20.0, "start only", "little is learnt beyond the start"),
        (60.0, "destroyed", "to 0.56 and to 0"),
        (math.inf, "destroyed", "inf times"),
    ],
)
def test_words_follow_what_was_measured(ratio: float, expected: str, said: str) -> None:
    assert outlook(ratio) == expected
    assert said in noise_words(ratio)


def test_ratio_by_hand() -> None:
    # 3.7 * sqrt(121,348) / 3: three sites at the tiny plan
    assert noise_to_signal(3.7, parameters=121_348, units=3) == pytest.approx(429.6, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"units": 0}, "there are 0 units"),
        ({"rounds": 0}, "rounds 0"),
        ({"parameters": 0}, "parameters 0"),
        ({"sampling_rate": 0.5}, "under unit site"),
        ({"sampling_rate": 1.5, "unit": "patient"}, "sampling_rate is 1.5"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"delta": 0.0}, "delta is 0.0"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        sites(**changes)
