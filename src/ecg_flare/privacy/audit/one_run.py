"""What one run of a job shows of its canaries: patients who were put in by secret coins, one each.

The auditor looks at what was released alone, in the order of the rounds, and has one direction for each canary: where
that canary's update is expected to point. A canary's score in a round is the released mean update along a vector of
length 1 that was made from these directions beforehand. From the scores follow four figures:

    guesses       which coins fell how, by rank. Steinke, Nasr & Jagielski 2023 (arXiv 2305.08846), theorem 5.2, turns
                  the number of right guesses into a lower limit on epsilon that holds for any mechanism and any data
    noise         length of what was released outside the span of all directions. Whatever the data add there makes it
                  longer, so it bounds the noise's standard deviation from above, for any data (chi-squared)
    contribution  mean score of those who were in, less that of those who were out. A vector of length 1 meets a
                  clipped update at most C long, so the mean is at most q * C under the claim, for any data
    one run       epsilon of a Gaussian mechanism with that noise and that contribution (in the spirit of Andrew et al.
                  2023, arXiv 2302.03098): sharper than the guesses, but for Gaussian noise alone

The first is sound and blunt: of m canaries all guessed right, m = 60 show an epsilon of 3. The other three take the
mechanism at its word (a sum of clipped updates and Gaussian noise) and can then see a factor of two in noise or in
sensitivity with a few dozen canaries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.accountant import spent
from ecg_flare.privacy.audit.path import AuditResult
from ecg_flare.privacy.events import GaussianEvent

GUESS_CONFIDENCE = 0.95
"""Of the limit from guesses, as in the paper."""

CONFIDENCE = 0.99
"""Of the limit on the contribution."""

NOISE_CONFIDENCE = 0.9999
"""Of the limit on the noise: there are dimensions to spare, and an honest run is to fail once in 10,000."""

_LARGEST_EPSILON = 50.0

Scores = Float64[np.ndarray, " canaries"]


@dataclass(frozen=True, eq=False)
class OneRun:
    """What a run released, and what is known of its canaries.

    Attributes:
        released: the noised sum of each round in clipping norms, shape (rounds, d).
        directions: where each canary's update is expected to point, each of length 1, shape (canaries, d).
        included: which canaries were put in.
        noise_multiplier, sampling_rate: as claimed; delta: at which epsilon is told.
        claimed_epsilon: for all rounds together.
    """

    released: Float64[np.ndarray, "rounds d"]
    directions: Float64[np.ndarray, "canaries d"]
    included: Bool[np.ndarray, " canaries"]
    noise_multiplier: float
    sampling_rate: float
    delta: float
    claimed_epsilon: float

    def __post_init__(self) -> None:
        canaries, dimension = self.directions.shape
        if self.released.ndim != 2 or self.released.shape[1] != dimension or self.included.shape != (canaries,):
            raise ConfigError(
                f"released {self.released.shape}, directions {self.directions.shape} and included "
                f"{self.included.shape} do not fit each other"
            )
        if not 2 * canaries < dimension or min(self.included.sum(), (~self.included).sum()) < 2:
            raise ConfigError(
                f"{int(self.included.sum())} of {canaries} canaries are in, in {dimension} dimensions: expected two or "
                "more on each side, and more than twice as many dimensions as canaries"
            )


def audit_one_run(run: OneRun, *, seconds: float = 0.0) -> tuple[AuditResult, ...]:
    """The four figures, each against its bound; `seconds` is what the run took."""
    noise = noise_upper_limit(run)
    size, lowest = mean_contribution(run)
    rate, rounds = run.sampling_rate, len(run.released)
    shown = _gaussian_epsilon(noise, lowest / rate, run)
    return (
        _guesses(run, seconds),
        AuditResult(
            "one-run noise",
            run.noise_multiplier / noise,
            1.0,
            seconds,
            f"claimed sigma over the upper limit of the noise found, {noise:.4f}, at {NOISE_CONFIDENCE:.2%}; "
            f"rounds: {rounds}, {run.released.shape[1]:,} dimensions",
        ),
        AuditResult(
            "one-run contribution",
            lowest,
            rate,
            seconds,
            f"mean of a canary in a round, in clipping norms, a lower limit at {CONFIDENCE:.0%} confidence; without it "
            f"{size:.3f}; an honest one is at most the rate {rate:g}",
        ),
        AuditResult(
            "one-run epsilon",
            shown,
            run.claimed_epsilon,
            seconds,
            f"of a Gaussian mechanism with that noise and contribution, at delta {run.delta:g}; without the limits "
            f"{_gaussian_epsilon(noise, size / rate, run):.2f}",
        ),
    )


def canary_scores(run: OneRun) -> Scores:
    """The rounds' mean release along one vector of length 1 a canary: noise adds N(0, sigma^2 / rounds) to each.

    The vectors are the directions filtered for the least variance under noise and the other canaries' coins,
    ``(sigma^2 I + v V V^T)^-1 V``, which needs the directions and the claim and nothing that was released.
    """
    scores: Scores = _filters(run) @ run.released.mean(axis=0)
    return scores


def noise_upper_limit(run: OneRun) -> float:
    """Upper limit of the noise's standard deviation, in clipping norms, from what lies outside all directions.

    Where the data add something there, the squared length is a noncentral chi-squared, which is larger in
    distribution: the limit then is too high, never too low.
    """
    from scipy.stats import chi2

    basis = np.linalg.qr(run.directions.T)[0]
    outside = run.released - (run.released @ basis) @ basis.T
    freedom = len(run.released) * (run.released.shape[1] - basis.shape[1])
    return math.sqrt(float(np.square(outside).sum()) / float(chi2.ppf(1 - NOISE_CONFIDENCE, freedom)))


def mean_contribution(run: OneRun) -> tuple[float, float]:
    """A canary's mean contribution in a round, in clipping norms, and its lower limit (Welch 1947).

    It is the difference between the scores of those in and those out. What the others in the run are expected to add
    to a canary's score is taken off first. That does not depend on the canary's own coin, and coins are independent:
    it makes the difference more exact, and does not move it on the average.
    """
    from scipy.stats import t

    overlaps = _filters(run) @ run.directions.T
    np.fill_diagonal(overlaps, 0.0)
    whole = run.included @ run.directions
    typical = float(run.released.mean(axis=0) @ whole / (whole @ whole))
    scores = canary_scores(run) - typical * overlaps @ run.included
    inside, outside = scores[run.included], scores[~run.included]
    parts = np.array([inside.var(ddof=1) / inside.size, outside.var(ddof=1) / outside.size])
    freedom = parts.sum() ** 2 / (parts**2 / [inside.size - 1, outside.size - 1]).sum()
    size = float(inside.mean() - outside.mean())
    return size, size - float(t.ppf(CONFIDENCE, freedom)) * math.sqrt(parts.sum())


def guesses_p_value(canaries: int, guesses: int, right: int, *, epsilon: float, delta: float) -> float:
    """Largest chance of so many right guesses under (epsilon, delta)-differential privacy.

    Steinke, Nasr & Jagielski 2023, theorem 5.2: with B a binomial of `guesses` and ``e^eps / (1 + e^eps)``,
    ``P(B >= v) + 2 m delta max_i (P(B >= v - i) - P(B >= v)) / i``.
    """
    from scipy.stats import binom

    odds = 1 / (1 + math.exp(-epsilon))
    steps = np.arange(1, right + 1)
    between = np.cumsum(binom.pmf(right - steps, guesses, odds))
    slope = float((between / steps).max()) if right else 0.0
    return min(1.0, float(binom.sf(right - 1, guesses, odds)) + 2 * canaries * delta * slope)


def guesses_epsilon(canaries: int, guesses: int, right: int, *, delta: float) -> float:
    """Largest epsilon that so many right guesses refute at `GUESS_CONFIDENCE`; 0 where they refute none."""
    low, high = 0.0, _LARGEST_EPSILON
    if guesses_p_value(canaries, guesses, right, epsilon=low, delta=delta) > 1 - GUESS_CONFIDENCE:
        return 0.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        refuted = guesses_p_value(canaries, guesses, right, epsilon=middle, delta=delta) <= 1 - GUESS_CONFIDENCE
        low, high = (middle, high) if refuted else (low, middle)
    return low


def _filters(run: OneRun) -> Float64[np.ndarray, "canaries d"]:
    share = run.sampling_rate / 2
    overlaps = run.directions @ run.directions.T
    filters: Float64[np.ndarray, "canaries d"] = np.linalg.solve(
        run.noise_multiplier**2 * np.eye(len(overlaps)) + share * (1 - share) * overlaps, run.directions
    )
    filters /= np.linalg.norm(filters, axis=1, keepdims=True)
    return filters


def _guesses(run: OneRun, seconds: float) -> AuditResult:
    """The upper quarter of the scores is guessed to be in, the lower to be out, on the rest the auditor abstains.

    A canary's score counts from what all canaries, each in by half, are expected to give.
    """
    canaries = run.included.size
    each = max(1, canaries // 4)
    expected = _filters(run) @ run.directions.sum(axis=0) * run.sampling_rate / 2
    order = np.argsort(canary_scores(run) - expected)
    right = int(run.included[order[-each:]].sum() + (~run.included[order[:each]]).sum())
    return AuditResult(
        "one-run guesses",
        guesses_epsilon(canaries, 2 * each, right, delta=run.delta),
        run.claimed_epsilon,
        seconds,
        f"{right} of {2 * each} guesses right, of {canaries} canaries; epsilon at delta {run.delta:g}, a lower limit "
        f"at {GUESS_CONFIDENCE:.0%} confidence that holds for any mechanism",
    )


def _gaussian_epsilon(noise: float, contribution: float, run: OneRun) -> float:
    if contribution <= 0:
        return 0.0
    cost = spent([GaussianEvent(noise / contribution, run.sampling_rate, len(run.released))], run.delta)
    return cost.epsilon_rdp if cost.epsilon_prv is None else cost.epsilon_prv
