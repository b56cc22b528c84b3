"""What happened to the data, apart from what it costs (accountant.py)."""

from __future__ import annotations

import math
from collections.abc import Iterable
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


def merge(events: Iterable[GaussianEvent]) -> tuple[GaussianEvent, ...]:
    """The same releases, with equal ones counted together; composition does not depend on their order."""
    counts: dict[GaussianEvent, int] = {}
    for event in events:
        kind = replace(event, count=1)
        counts[kind] = counts.get(kind, 0) + event.count
    return tuple(replace(kind, count=count) for kind, count in counts.items())
