"""What happened to the data, apart from what it costs (accountant.py)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ecg_flare.errors import ConfigError

Unit = Literal["site", "patient"]
"""Whose presence is hidden."""


@dataclass(frozen=True)
class GaussianEvent:
    """`count` releases of a sum with Gaussian noise over a Poisson sample of the units.

    noise_multiplier: standard deviation of the noise over the L2 sensitivity of the sum to one unit.
    sampling_rate: probability with which a unit takes part, hidden from whoever sees the release. It is 1 for sites:
    the server and the peers see which sites answer, so sampling sites hides nothing.

    Raises ConfigError for a value out of its range.
    """

    noise_multiplier: float
    sampling_rate: float = 1.0
    count: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.noise_multiplier) and self.noise_multiplier > 0):
            raise ConfigError(f"noise_multiplier is {self.noise_multiplier}, expected a positive number")
        if not 0 <= self.sampling_rate <= 1:
            raise ConfigError(f"sampling_rate is {self.sampling_rate}, expected it in [0, 1]")
        if self.count < 1:
            raise ConfigError(f"count is {self.count}, expected 1 or more releases")


def round_events(
    noise_multiplier: float, sampling_rate: float, weights: Collection[float], *, shared: bool
) -> tuple[GaussianEvent, ...]:
    """What one round does to a unit, over sites with these public weights.

    Where a unit is at one site only, that is one release. Where it may be at several (`shared`), each site draws it on
    its own, and the noise has the standard deviation ``sigma * C * W`` with ``W = sum(w)``. Such noise is a sum of
    independent Gaussians, one a site, with variances ``(sigma * C * W)^2 * w_k / W``. The round's sum then follows from
    the sites' own noised sums, so it tells no more than all of these together: a composition of one sampled Gaussian a
    site, with the noise multiplier ``sigma * W * sqrt(w_k / W) / w_k = sigma * sqrt(W / w_k)``. Without sampling this
    is exact. One draw for all sites at ``sigma`` would not bound it: at small epsilon its delta is below the true one.

    >>> round_events(1.0, 0.5, (1.0, 1.0, 1.0, 1.0), shared=True)
    (GaussianEvent(noise_multiplier=2.0, sampling_rate=0.5, count=4),)

    Raises ConfigError for a value out of its range.
    """
    if not shared:
        return (GaussianEvent(noise_multiplier, sampling_rate),)
    total = math.fsum(weights)
    return merge(GaussianEvent(noise_multiplier * math.sqrt(total / weight), sampling_rate) for weight in weights)


def sum_sensitivity(vector_norm: float, weights: Collection[float], *, shared: bool) -> float:
    """By how much one unit can change a weighted sum of vectors no longer than `vector_norm`.

    A vector times the largest weight, or times all of them together where a unit may be at several sites (`shared`).

    >>> sum_sensitivity(2.0, (1.0, 0.5), shared=False), sum_sensitivity(2.0, (1.0, 0.5), shared=True)
    (2.0, 3.0)
    """
    return vector_norm * (math.fsum(weights) if shared else max(weights))


def merge(events: Iterable[GaussianEvent]) -> tuple[GaussianEvent, ...]:
    """The same releases, with equal ones counted together; composition does not depend on their order."""
    counts: dict[GaussianEvent, int] = {}
    for event in events:
        kind = replace(event, count=1)
        counts[kind] = counts.get(kind, 0) + event.count
    return tuple(replace(kind, count=count) for kind, count in counts.items())
