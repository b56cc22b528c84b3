"""The tight epsilon of Gaussian releases, sampled or not: their privacy losses, composed on a grid.

Gopi, Lee & Wutschitz 2021 (arXiv 2106.02848, algorithm 1): each kind of release has a distribution of its loss
``log(P(x) / Q(x))`` with x drawn from P, the release with the unit in it. It is put on a grid of the same mean, and
the distribution of the sum of all losses is a product of Fourier transforms: one transform for each kind of release,
however often it happened. What is told is the upper end of the interval that the grid's error leaves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ecg_flare.privacy.events import GaussianEvent

DELTA_ERROR = 1e-3
"""Share of delta for which losses may leave the grid."""

_REACH_SIGMAS = 12


@dataclass(frozen=True)
class LossGrid:
    """Losses ``j * mesh`` for j from -size / 2 to size / 2 - 1."""

    mesh: float
    size: int

    @classmethod
    def fitting(cls, releases: int, delta: float, *, error: float, half_width: float) -> LossGrid:
        """The grid on which so many releases, whose losses stay within `half_width`, give epsilon to `error`.

        Theorem 5.5 of the paper gives the mesh.
        """
        from scipy.fft import next_fast_len

        mesh = error / math.sqrt(releases * math.log(12 / (delta * DELTA_ERROR)) / 2)
        return cls(mesh, 2 * next_fast_len(math.ceil(half_width / mesh) + 1, real=True))


def epsilon_of_losses(events: Sequence[GaussianEvent], delta: float, grid: LossGrid, *, error: float) -> float:
    """Epsilon at `delta` of all the events, its upper end; infinity where the grid does not reach so far."""
    from scipy.fft import irfft, rfft

    spectrum: np.ndarray | None = None
    shift = 0.0
    for event in events:
        chances, offset = _discretized(event, grid)
        factor = _power(rfft(chances), event.count)
        spectrum = factor if spectrum is None else spectrum * factor
        shift += event.count * offset
    assert spectrum is not None, "nothing was released"
    places = np.arange(math.ceil(-shift / grid.mesh), grid.size // 2)  # of the losses from 0 on
    chances = irfft(spectrum, n=grid.size)[places]
    return _epsilon(chances, places * grid.mesh + shift, delta) + error


def _discretized(event: GaussianEvent, grid: LossGrid) -> tuple[Float64[np.ndarray, " size"], float]:
    """Chances of a release's loss on the grid, from 0 up and then the negative ones, and what its mean lacks."""
    from scipy.special import ndtr

    sigma, q = event.noise_multiplier, event.sampling_rate
    half = grid.size // 2
    first = max(-half, round(_loss(-_REACH_SIGMAS * sigma, sigma, q) / grid.mesh) - 1)
    last = min(half - 1, round(_loss(1 + _REACH_SIGMAS * sigma, sigma, q) / grid.mesh) + 1)
    places = np.arange(first, last + 1)
    edges = (np.append(places, last + 1) - 0.5) * grid.mesh
    with np.errstate(divide="ignore", invalid="ignore"):  # below log(1 - q) there are no losses
        ratio = np.log(np.maximum((np.expm1(edges) + q) / q, 0.0)) if q < 1 else edges
    x = sigma**2 * ratio + 0.5
    above = (1 - q) * ndtr(-x / sigma) + q * ndtr((1 - x) / sigma)
    above[0], above[-1] = 1.0, 0.0  # what lies beyond is counted with the nearest
    chances = np.zeros(grid.size)
    chances[places] = above[:-1] - above[1:]
    return chances, _mean(sigma, q) - float(np.dot(places * grid.mesh, chances[places]))


def _loss(x: float, sigma: float, q: float) -> float:
    """The loss at x: ``log(1 - q + q * e^((2x - 1) / (2 sigma^2)))``."""
    ratio = (2 * x - 1) / (2 * sigma**2)
    return ratio if q == 1 else float(np.logaddexp(math.log1p(-q), math.log(q) + ratio))


def _mean(sigma: float, q: float) -> float:
    """The mean loss, by the trapezoid rule (see renyi.py)."""
    step = min(sigma, sigma**2) / 4
    x = np.arange(-_REACH_SIGMAS * sigma, 1 + _REACH_SIGMAS * sigma, step)
    density = (1 - q) * np.exp(-(x**2) / (2 * sigma**2)) + q * np.exp(-((x - 1) ** 2) / (2 * sigma**2))
    losses = [_loss(each, sigma, q) for each in x]
    return float(np.dot(density, losses) * step / (sigma * math.sqrt(2 * math.pi)))


def _power(base: np.ndarray, exponent: int) -> np.ndarray:
    """By squaring: numpy's own power of complex numbers takes a logarithm each."""
    result: np.ndarray | None = None
    while True:
        if exponent & 1:
            result = base if result is None else result * base
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        base = base * base


def _epsilon(chances: Float64[np.ndarray, " n"], losses: Float64[np.ndarray, " n"], delta: float) -> float:
    """The smallest epsilon with ``E[(1 - e^(epsilon - loss))+] <= delta``, for delta less its error."""
    target = delta * (1 - DELTA_ERROR)
    above = np.flip(np.flip(chances).cumsum())
    weighted = np.flip(np.flip(chances * np.exp(-losses)).cumsum())
    place = int(np.searchsorted(np.exp(losses) * weighted - above, -target))
    if place == 0:
        return max(0.0, float(losses[0]))
    if place == losses.size:
        return math.inf
    return max(0.0, math.log((above[place] - target) / weighted[place]))  # the losses' rounding may undercut 0
