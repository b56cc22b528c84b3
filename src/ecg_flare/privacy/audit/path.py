"""What the audits have in common: the path that they attack, and the form of their findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ecg_flare.privacy.accountant import spent
from ecg_flare.privacy.events import GaussianEvent, Unit
from ecg_flare.privacy.gaussian import Stream
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

CONFIDENCE = 0.999
"""With which an estimate from chance is a lower limit: of a thousand audits of a right mechanism, one may fail."""

OVERLONG = 10.0
"""Audits send vectors of this many clipping norms, so that clipping that is off shows in full."""

Model = Float32[np.ndarray, " d"]
Rows = Float32[np.ndarray, "units d"]
"""One update for each unit of a site."""

RowsOf = Callable[[Model], Rows]
"""Global model -> the updates of a site's units."""


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    estimate: what the attack achieved; where chance plays, the lower end of a confidence interval.
    bound: what it may achieve at most if the promise holds, in the same measure.
    seconds: how long the audit took.
    detail: in words, what was measured.
    """

    name: str
    estimate: float
    bound: float
    seconds: float
    detail: str

    @property
    def passed(self) -> bool:
        """Whether the estimate obeys its bound; NaN does not."""
        return self.estimate <= self.bound


@dataclass(frozen=True, eq=False)
class Released:
    """What a round lets out: the noised integer sum, the mean update, and the model after it."""

    summed: Int64[np.ndarray, " d"]
    mean_update: Float64[np.ndarray, " d"]
    model: Model


class RoundPath(Protocol):
    """A round of training as the audits drive it."""

    @property
    def sites(self) -> tuple[str, ...]:
        """The roster."""

    @property
    def unit(self) -> Unit:
        """Whose presence is claimed to be hidden."""

    @property
    def fixed(self) -> FixedPoint:
        """The encoding that is claimed, with the noise multiplier and the sensitivity."""

    @property
    def denominator(self) -> float:
        """The public denominator of the mean."""

    def contribution(self, rows: Rows) -> Int64[np.ndarray, " d"]:
        """The integers that the first site sends for its units' updates."""

    def release(self, model: Model, rows: Mapping[str, RowsOf], *, stream: Stream | None = None) -> Released:
        """Run a round; raises where an update of a site that takes part is refused."""


def claimed_epsilon(path: RoundPath, delta: float, rounds: int) -> float:
    """Epsilon of `rounds` releases at the claimed noise: the tight value, the guarantee where there is no tight one."""
    cost = spent([GaussianEvent(path.fixed.noise_multiplier, count=rounds)], delta)
    return cost.epsilon_rdp if cost.epsilon_prv is None else cost.epsilon_prv


def taking_part(path: RoundPath, rows: Mapping[str, Rows]) -> dict[str, RowsOf]:
    """Sites that send these rows; a site without any is absent under unit site, and silent about it under patient."""
    return {site: _always(held) for site, held in rows.items() if path.unit == "patient" or len(held)}


def unit_vectors(rng: np.random.Generator, count: int, dimension: int, *, length: float) -> Rows:
    """Random directions, uniform on the sphere of radius `length`."""
    rows = rng.standard_normal((count, dimension), dtype=np.float32)
    rows *= np.float32(length) / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _always(rows: Rows) -> RowsOf:
    return lambda model: rows
