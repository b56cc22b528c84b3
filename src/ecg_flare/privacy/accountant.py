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

import copy
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.events import GaussianEvent, merge
from ecg_flare.privacy.losses import DELTA_ERROR, LossGrid, epsilon_of_losses
from ecg_flare.privacy.renyi import gaussian_divergence

ORDERS: tuple[float, ...] = (
    *(1 + tenth / 10 for tenth in range(1, 100)),
    *(float(order) for order in range(12, 64)),
    *(64.0, 80.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0),
)
"""Rényi orders of the search: opacus' own, and larger ones for the first rounds under much noise."""

PRV_LARGEST_EPSILON = 500.0
PRV_SMALLEST_DELTA = 1e-10
PRV_MAX_CELLS = 300_000_000
"""Cells of the grid of losses times kinds of release: some ten CPU seconds."""

_PRV_ERROR = 0.005  # of the grid of losses, relative up to epsilon = 1 and absolute above
_LARGEST_SIGMA = 1e6


@dataclass(frozen=True)
class Spent:
    """Epsilon at `delta`: the guarantee, and the tight value (None where it was not or cannot be computed)."""

    delta: float
    epsilon_rdp: float
    epsilon_prv: float | None


def spent(events: Iterable[GaussianEvent], delta: float) -> Spent:
    """Both figures for the releases so far."""
    events = merge(events)
    return Spent(delta, epsilon_rdp(events, delta), epsilon_prv(events, delta))


def epsilon_rdp(events: Iterable[GaussianEvent], delta: float) -> float:
    """Epsilon at `delta` by Rényi composition: the guarantee.

    >>> round(epsilon_rdp([GaussianEvent(noise_multiplier=1.0, count=10)], delta=1e-5), 2)
    19.05

    Raises ConfigError for a delta outside (0, 1).
    """
    _check_delta(delta)
    divergence = np.zeros(len(ORDERS))
    for event in merge(events):
        divergence += _divergence(event)
    return _converted(divergence, delta)


class Composition:
    """Releases composed one after another: what one more costs is computed from it alone, not from all before it.

    sampled: whether any of them is over a sample of the units.
    """

    def __init__(self) -> None:
        self._divergence = np.zeros(len(ORDERS))
        self._squares = 0.0
        self.sampled = False

    def add(self, events: Iterable[GaussianEvent]) -> None:
        """Compose with these."""
        for event in events:
            self._divergence = self._divergence + _divergence(event)
            self.sampled |= 0 < event.sampling_rate < 1
            self._squares += event.count * (event.sampling_rate == 1) / event.noise_multiplier**2

    def followed_by(self, events: Iterable[GaussianEvent]) -> Composition:
        """Another one, with these after it."""
        after = copy.copy(self)
        after.add(events)
        return after

    def spent(self, delta: float) -> Spent:
        """The guarantee, and the tight value where it is a closed form: without sampling."""
        _check_delta(delta)
        guarantee = _converted(self._divergence, delta)
        tight = None if self.sampled else _without_sampling(self._squares, guarantee, delta)
        return Spent(delta, guarantee, tight)


def epsilon_prv(events: Iterable[GaussianEvent], delta: float) -> float | None:
    """Epsilon at `delta` by composition of the privacy losses: the tight value.

    None where it cannot be carried: above `PRV_LARGEST_EPSILON`; and under sampling below `PRV_SMALLEST_DELTA`, where
    the rounding of the Fourier transform outweighs delta, and above `PRV_MAX_CELLS`, where it takes too long.

    Raises ConfigError for a delta outside (0, 1).
    """
    _check_delta(delta)
    events = tuple(event for event in merge(events) if event.sampling_rate > 0)
    guarantee = epsilon_rdp(events, delta)
    if all(event.sampling_rate == 1 for event in events):
        squares = sum(event.count / event.noise_multiplier**2 for event in events)
        return _without_sampling(squares, guarantee, delta)
    if guarantee > PRV_LARGEST_EPSILON or delta < PRV_SMALLEST_DELTA:
        return None
    tight = _epsilon_of_losses(events, delta, error=_PRV_ERROR * min(1.0, max(guarantee, 0.01)))
    if tight is None or max(tight, 0.01) > min(guarantee, 1.0) / 2:
        return tight
    # The guarantee was no measure of the figure, and its grid too coarse for it.
    return _epsilon_of_losses(events, delta, error=_PRV_ERROR * max(tight, 0.01))


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


def _converted(divergence: Float64[np.ndarray, " orders"], delta: float) -> float:
    """Balle et al. 2020, theorem 21, at the best of the orders."""
    if not divergence.any():
        return 0.0
    orders = np.array(ORDERS)
    epsilons = divergence + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(epsilons.min()))


def _divergence(event: GaussianEvent) -> Float64[np.ndarray, " orders"]:
    return event.count * _one_divergence(event.noise_multiplier, event.sampling_rate, ORDERS)


@functools.lru_cache(maxsize=4096)  # milliseconds each under sampling, and the same in every round
def _one_divergence(
    noise_multiplier: float, sampling_rate: float, orders: tuple[float, ...]
) -> Float64[np.ndarray, " orders"]:
    return gaussian_divergence(noise_multiplier, sampling_rate, orders)


def _without_sampling(squares: float, guarantee: float, delta: float) -> float | None:
    """Releases with noise multipliers sigma_i compose exactly to one with mu = sqrt(sum(1 / sigma_i^2))."""
    if guarantee > PRV_LARGEST_EPSILON:
        return None
    return _epsilon_of_gaussian(math.sqrt(squares), delta) if squares > 0 else 0.0


def _epsilon_of_gaussian(mu: float, delta: float) -> float:
    """Solve ``Phi(mu/2 - eps/mu) - e^eps * Phi(-mu/2 - eps/mu) = delta`` for eps (Balle & Wang 2018, theorem 8)."""
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


@functools.lru_cache(maxsize=64)  # a round asks before it starts and afterwards, and so do all who read the ledger
def _epsilon_of_losses(events: tuple[GaussianEvent, ...], delta: float, *, error: float) -> float | None:
    releases, lost = sum(event.count for event in events), delta * DELTA_ERROR
    # Remark 5.6 of Gopi et al.: the sum of the losses, and each of them, stays within but for a share of delta.
    widths = [epsilon_rdp([replace(event, count=1)], lost / (8 * releases)) for event in events]
    half_width = max(epsilon_rdp(events, lost / 4), *widths, error) + 3
    grid = LossGrid.fitting(releases, delta, error=error, half_width=half_width)
    if grid.size * len(events) > PRV_MAX_CELLS:
        return None
    tight = epsilon_of_losses(events, delta, grid, error=error)
    return tight if math.isfinite(tight) else None
