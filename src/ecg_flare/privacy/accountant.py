"""What a sequence of Gaussian releases costs: the epsilon of (epsilon, delta)-differential privacy.

Adjacency is add or remove one unit. Two figures are kept side by side:

- `epsilon_rdp`, the guarantee: Rényi differential privacy (Mironov 2017), of the sampled Gaussian mechanism
  (Mironov, Talwar & Zhang 2019, arXiv 1908.10530, section 3.3), converted by Balle et al. 2020 (arXiv 1905.09982,
  theorem 21). It is a bound for every input and never below the truth.
- `epsilon_prv`, the tight value: without sampling the exact composition of Gaussians (Balle & Wang 2018,
  arXiv 1805.06530, theorem 8), with sampling the numerical composition of privacy loss variables (Gopi, Lee &
  Wutschitz 2021, arXiv 2106.02848), its upper end.

Approximations by the central limit theorem (Gaussian DP) fall below the truth and have no place here.
"""

from __future__ import annotations

import functools
import math
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.events import GaussianEvent, merge

ORDERS: tuple[float, ...] = (
    *(1 + tenth / 10 for tenth in range(1, 100)),
    *(float(order) for order in range(12, 64)),
    *(64.0, 80.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0),
)
"""Rényi orders of the search: opacus' own, and larger ones for the first rounds under much noise."""

PRV_LARGEST_EPSILON = 500.0
PRV_SMALLEST_DELTA = 1e-10

_PRV_ERROR = 0.005  # of the grid of losses, relative up to epsilon = 1 and absolute above
_LARGEST_SIGMA = 1e6
_LOADING = threading.Lock()  # opacus imports itself in a circle, which two threads at once cannot


@dataclass(frozen=True)
class Spent:
    """Epsilon at `delta`: the guarantee, and the tight value (None where it cannot be computed)."""

    delta: float
    epsilon_rdp: float
    epsilon_prv: float | None


def spent(events: Iterable[GaussianEvent], delta: float) -> Spent:
    """Both figures for the releases so far."""
    events = merge(events)
    return Spent(delta, epsilon_rdp(events, delta), epsilon_prv(events, delta))


def epsilon_rdp(events: Iterable[GaussianEvent], delta: float) -> float:
    """Epsilon at `delta` by Rényi composition: the guarantee.

    Without sampling the Rényi divergence is alpha / (2 * sigma^2) in closed form, so that a server pays for no
    import; with sampling it comes from opacus.

    >>> round(epsilon_rdp([GaussianEvent(noise_multiplier=1.0, count=10)], delta=1e-5), 2)
    19.05

    Raises ConfigError for a delta outside (0, 1).
    """
    _check_delta(delta)
    orders = np.array(ORDERS)
    divergence = np.zeros_like(orders)
    for event in merge(events):
        divergence += _divergence(event, orders)
    if not divergence.any():
        return 0.0
    epsilons = divergence + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(epsilons.min()))


def epsilon_prv(events: Iterable[GaussianEvent], delta: float) -> float | None:
    """Epsilon at `delta` by composition of the privacy losses: the tight value.

    None where float64 cannot carry it: above `PRV_LARGEST_EPSILON` the grid of losses outgrows memory, and under
    sampling below `PRV_SMALLEST_DELTA` the rounding of its Fourier transform outweighs delta.

    Raises ConfigError for a delta outside (0, 1).
    """
    _check_delta(delta)
    events = tuple(event for event in merge(events) if event.sampling_rate > 0)
    if not events:
        return 0.0
    guarantee = epsilon_rdp(events, delta)
    if guarantee > PRV_LARGEST_EPSILON:
        return None
    if all(event.sampling_rate == 1 for event in events):
        return _epsilon_of_gaussian(math.sqrt(sum(event.count / event.noise_multiplier**2 for event in events)), delta)
    if delta < PRV_SMALLEST_DELTA:
        return None
    tight = _epsilon_of_losses(events, delta, error=_PRV_ERROR * min(1.0, max(guarantee, 0.01)))
    if max(tight, 0.01) > min(guarantee, 1.0) / 2:
        return tight
    # The guarantee was no measure of the figure, and its grid too coarse for it.
    return _epsilon_of_losses(events, delta, error=_PRV_ERROR * max(tight, 0.01))


def load() -> None:
    """Import what epsilon under sampling is computed with, so that a caller with time to spare pays for it."""
    with _LOADING:
        import opacus.accountants  # noqa: F401  # seconds, as it brings torch


def noise_multiplier_for(epsilon: float, delta: float, *, sampling_rate: float = 1.0, rounds: int) -> float:
    """Smallest noise multiplier, to one part in 10,000, whose guarantee after `rounds` releases is within `epsilon`.

    >>> round(noise_multiplier_for(4.0, 1e-5, rounds=100), 1)
    11.6

    Raises ConfigError for an epsilon that is not positive, or that no noise reaches.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ConfigError(f"epsilon is {epsilon}, expected a positive number")

    def cost(sigma: float) -> float:
        return epsilon_rdp([GaussianEvent(sigma, sampling_rate, rounds)], delta)

    low, high = 1e-2, 1.0
    while cost(high) > epsilon:
        low, high = high, 2 * high
        if high > _LARGEST_SIGMA:
            raise ConfigError(
                f"no noise multiplier up to {_LARGEST_SIGMA:.0f} keeps {rounds} rounds within epsilon {epsilon} at "
                f"delta {delta}: allow a larger epsilon or fewer rounds"
            )
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if cost(middle) > epsilon else (low, middle)
    return high


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise ConfigError(f"delta is {delta}, expected it in (0, 1)")


def _divergence(event: GaussianEvent, orders: Float64[np.ndarray, " orders"]) -> Float64[np.ndarray, " orders"]:
    if event.sampling_rate == 0:
        return np.zeros_like(orders)
    if event.sampling_rate == 1:
        return event.count * orders / (2 * event.noise_multiplier**2)
    return event.count * _sampled_divergence(event.noise_multiplier, event.sampling_rate, tuple(orders))


@functools.lru_cache(maxsize=256)  # half a second each, and the same in every round
def _sampled_divergence(
    noise_multiplier: float, sampling_rate: float, orders: tuple[float, ...]
) -> Float64[np.ndarray, " orders"]:
    load()
    from opacus.accountants.analysis.rdp import compute_rdp

    divergence = compute_rdp(q=sampling_rate, noise_multiplier=noise_multiplier, steps=1, orders=list(orders))
    # opacus leaves NaN where its series is numerically lost; such an order proves nothing.
    return np.where(np.isnan(divergence), np.inf, divergence)


def _epsilon_of_gaussian(mu: float, delta: float) -> float:
    """Solve ``Phi(mu/2 - eps/mu) - e^eps * Phi(-mu/2 - eps/mu) = delta`` for eps (Balle & Wang 2018, theorem 8).

    Releases with noise multipliers sigma_i compose exactly to one with mu = sqrt(sum(1 / sigma_i^2)).
    """
    low, high = 0.0, 1.0
    while _delta_of_gaussian(mu, high) > delta:
        low, high = high, 2 * high
    while high - low > 1e-12 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if _delta_of_gaussian(mu, middle) > delta else (low, middle)
    return high if _delta_of_gaussian(mu, 0.0) > delta else 0.0


def _delta_of_gaussian(mu: float, epsilon: float) -> float:
    return _phi(mu / 2 - epsilon / mu) - math.exp(epsilon) * _phi(-mu / 2 - epsilon / mu)


def _phi(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


@functools.lru_cache(maxsize=64)  # a second each; a round asks before it starts, when it is charged and afterwards
def _epsilon_of_losses(events: tuple[GaussianEvent, ...], delta: float, *, error: float) -> float:
    load()
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(event.noise_multiplier, event.sampling_rate, event.count) for event in events]
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        # A rate of 1 makes opacus take log(0), which it means; its own search of orders only sizes the grid.
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta, eps_error=error))
