"""Before a job: the noise that a promise takes, and whether a network can learn under it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.accountant import Spent, epsilon_prv, epsilon_rdp, noise_multiplier_for, spent
from ecg_flare.privacy.delta import check_delta
from ecg_flare.privacy.events import GaussianEvent, Unit

Outlook = Literal["learns", "slowed", "start only", "destroyed"]
"""What becomes of training, from the ratio of noise to signal."""

_STOPS = (0.1, 0.25, 0.5, 1.0)  # shares of the rounds after which epsilon is told
_TIGHT_TOLERANCE = 1e-3
_MAX_STEPS = 40
_LEAST_SHARE = 0.5  # of the guarantee's noise: below it the grid of losses takes minutes
_POINTS = 20  # of a curve


@dataclass(frozen=True)
class CostAfter:
    """Epsilon after so many rounds."""

    rounds: int
    spent: Spent


@dataclass(frozen=True)
class NoisePlan:
    """What a promise takes.

    noise_multiplier: the smallest sigma whose Rényi epsilon, the guarantee, stays within the promise.
    noise_multiplier_prv: the same by the tight value, None where that cannot be computed; what accounting costs.
    noise_to_signal: ``sigma * sqrt(d) / (q * N)``, the length of a round's noise over that of the longest mean update.
    costs: epsilon on the way, the last one at the end, all at `noise_multiplier`.
    """

    unit: Unit
    units: int
    sampling_rate: float
    rounds: int
    delta: float
    parameters: int
    noise_multiplier: float
    noise_multiplier_prv: float | None
    noise_to_signal: float
    costs: tuple[CostAfter, ...]

    @property
    def spent(self) -> Spent:
        """Epsilon after all rounds."""
        return self.costs[-1].spent

    @property
    def outlook(self) -> Outlook:
        """What becomes of training."""
        return outlook(self.noise_to_signal)

    @property
    def words(self) -> str:
        """The same in a sentence or two."""
        return noise_words(self.noise_to_signal)


@dataclass(frozen=True)
class Population:
    """Whom a promise hides.

    unit: a site as a whole, or each patient.
    count: how many there are.
    sampling_rate: the chance of each to take part in a round.

    Raises ConfigError for an impossible value, and for sites that are sampled: everyone sees which sites answer.
    """

    unit: Unit
    count: int
    sampling_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"there are {self.count} units, expected 1 or more")
        if not 0 < self.sampling_rate <= 1:
            raise ConfigError(f"sampling_rate is {self.sampling_rate}, expected it in (0, 1]")
        if self.unit == "site" and self.sampling_rate != 1:
            raise ConfigError(
                f"sampling_rate is {self.sampling_rate} under unit site, expected 1: all see which sites answer"
            )


def plan(population: Population, *, rounds: int, epsilon: float, delta: float, parameters: int) -> NoisePlan:
    """Plan rounds over a population for a network of d = `parameters`; raises ConfigError for an impossible value."""
    unit, units, sampling_rate = population.unit, population.count, population.sampling_rate
    if min(rounds, parameters) < 1:
        raise ConfigError(f"rounds {rounds} and parameters {parameters}: expected each to be 1 or more")
    check_delta(delta, unit, units)
    sigma = noise_multiplier_for(epsilon, delta, sampling_rate=sampling_rate, rounds=rounds)
    stops = sorted({math.ceil(share * rounds) for share in _STOPS})
    return NoisePlan(
        unit=unit,
        units=units,
        sampling_rate=sampling_rate,
        rounds=rounds,
        delta=delta,
        parameters=parameters,
        noise_multiplier=sigma,
        noise_multiplier_prv=tight_noise_multiplier(epsilon, delta, sampling_rate=sampling_rate, rounds=rounds),
        noise_to_signal=noise_to_signal(sigma, parameters=parameters, units=units, sampling_rate=sampling_rate),
        costs=tuple(CostAfter(stop, spent([GaussianEvent(sigma, sampling_rate, stop)], delta)) for stop in stops),
    )


def cost_curves(plan: NoisePlan) -> dict[float, tuple[CostAfter, ...]]:
    """Noise multiplier -> epsilon by rounds, at half the plan's noise, its own and twice it; by Rényi alone."""
    stops = sorted({math.ceil(share * plan.rounds / _POINTS) for share in range(1, _POINTS + 1)})
    return {
        sigma: tuple(
            CostAfter(
                stop, Spent(plan.delta, epsilon_rdp([GaussianEvent(sigma, plan.sampling_rate, stop)], plan.delta), None)
            )
            for stop in stops
        )
        for sigma in (plan.noise_multiplier / 2, plan.noise_multiplier, 2 * plan.noise_multiplier)
    }


def noise_to_signal(noise_multiplier: float, *, parameters: int, units: int, sampling_rate: float = 1.0) -> float:
    """``sigma * sqrt(d) / (q * N)``.

    The sum has noise of length sigma * C * sqrt(d), nearly; q * N units that all pull the same way with length C make
    a sum of length q * N * C.

    >>> noise_to_signal(3.0, parameters=10_000, units=1000, sampling_rate=0.5)
    0.6
    """
    return noise_multiplier * math.sqrt(parameters) / (sampling_rate * units)


def tight_noise_multiplier(epsilon: float, delta: float, *, sampling_rate: float = 1.0, rounds: int) -> float | None:
    """Smallest noise multiplier, to one part in 1,000 of epsilon, whose tight epsilon is within `epsilon`.

    None where there is no tight value (see `epsilon_prv`), or where half the guarantee's noise is more than is needed.

    >>> round(tight_noise_multiplier(4.0, 1e-5, rounds=100), 1)
    10.8

    Raises ConfigError as `noise_multiplier_for`.
    """

    def cost(sigma: float) -> float | None:
        return epsilon_prv([GaussianEvent(sigma, sampling_rate, rounds)], delta)

    return _smallest(
        cost, epsilon, start=noise_multiplier_for(epsilon, delta, sampling_rate=sampling_rate, rounds=rounds)
    )


def outlook(ratio: float) -> Outlook:
    """What a noise-to-signal ratio means, by a measurement on the smallest network of this project.

    From a pretrained start of Dice 0.82, five rounds at a ratio of 8 left 0.82, at 20 left 0.78, at 60 left 0.56 and
    at 150 left 0 (nnU-Net of 122,000 parameters, two rendered test pages, one seed). Up to 1, the longest mean update
    is at least as long as the noise.
    """
    if ratio <= 1:
        return "learns"
    if ratio <= 10:
        return "slowed"
    return "start only" if ratio <= 20 else "destroyed"


def noise_words(ratio: float) -> str:
    """What a noise-to-signal ratio means for learning, in words."""
    said: dict[Outlook, str] = {
        "learns": "training can follow it.",
        "slowed": "training is slowed. Measured at 8: five rounds cost a pretrained start nothing.",
        "start only": (
            "little is learnt beyond the start. Measured at 20: five rounds cost a pretrained start 0.04 of its Dice "
            "of 0.82. More units, a smaller network or a larger epsilon lower it."
        ),
        "destroyed": (
            "little is learnt, and the start is lost. Measured at 60 and 150: five rounds took a pretrained start of "
            "Dice 0.82 to 0.56 and to 0. This shows a protocol, not a better model: many more units are needed."
        ),
    }
    length = f"The noise of a round is {ratio:.3g} times as long as the longest step that all units can ask for"
    return f"{length}: {said[outlook(ratio)]}"


def _smallest(cost: Callable[[float], float | None], target: float, *, start: float) -> float | None:
    """The smallest sigma whose cost is within `target`, as `start` is; None below `_LEAST_SHARE` of `start`.

    The cost falls with sigma. On a log-log scale it is nearly a straight line, but where it ends: below some sigma a
    release over few draws costs nothing at all at this delta. So the secant's steps are held within the bracket.
    """
    least, low, high = _LEAST_SHARE * start, 0.0, start  # where to end, too little noise, and enough
    before, at_before = start * 1.1, cost(start * 1.1)
    sigma, at = start, cost(start)
    for _ in range(_MAX_STEPS):
        if at is None or at_before is None:
            return None
        if target * (1 - _TIGHT_TOLERANCE) <= at <= target:
            return sigma
        if at <= target and sigma <= least:
            return None
        low, high = (max(low, sigma), high) if at > target else (low, min(high, sigma))
        aim = _extrapolated((before, at_before), (sigma, at), target)
        if aim is None or not max(low, least) <= aim < high:
            aim = math.sqrt(low * high) if low else least
        before, at_before, sigma = sigma, at, aim
        at = cost(sigma)
    return high


def _extrapolated(first: tuple[float, float], second: tuple[float, float], target: float) -> float | None:
    """Where the line through two points (sigma, cost) has the target, both scales logarithmic; None without a slope."""
    (before, at_before), (sigma, at) = first, second
    if not at > 0 or not at_before > 0 or at == at_before or sigma == before:
        return None
    slope = math.log(at / at_before) / math.log(sigma / before)
    step = math.log(target * (1 - _TIGHT_TOLERANCE / 2) / at) / slope
    return sigma * math.exp(step) if abs(step) < 10 else None
