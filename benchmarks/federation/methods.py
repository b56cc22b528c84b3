"""Methods of training a global model: who trains, with which rates, and what carries over from round to round.

The levers that are tried beside FedAvg, FedProx and FedAdam: the momentum of the sites' SGD may start from what the
site had after its last round, or from the released trajectory, which every site knows: the way that the global model
went, less its sign, over the sum of the last round's rates (after FedCM, Xu et al. 2021, arXiv 2106.10874; the server's
own rate is in it). FedExP takes the server's rate from the lengths of the updates (Jhunjhunwala et al. 2023, arXiv
2301.09604, without its epsilon); and an average over rounds may be measured in place of the last model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32

from ecg_flare.federated.optimizers import FedAvg, ServerOptimizer, ServerState, optimizer_by_name
from ecg_flare.federated.parts import Clipping, Roster
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.settings import Schedule

CENTRALIZED: Final = "centralized"
ALONE: Final = "alone"
FEDEXP: Final = "fedexp"
POOL: Final = "pool"

Vector = Float32[np.ndarray, " d"]
Momentum = Literal["empty", "kept", "trajectory"]


@dataclass(frozen=True)
class Upload:
    """What a site sends of an update in a round.

    Attributes:
        clipping_norm: C of a masked sum; None sends updates plainly.
        ring_bits: of a masked sum's words; None is 32.
        trained: patterns of the tensors that are trained and sent.
        local: patterns of tensors that each site trains and keeps.
        projection: how many values an update is folded into; None sends all of them.
    """

    clipping_norm: float | None = None
    ring_bits: int | None = None
    trained: tuple[str, ...] = EVERY_TENSOR
    projection: int | None = None
    local: tuple[str, ...] = ()

    def terms(self, sites: Sequence[str]) -> JobTerms:
        """The terms of a job that sends this."""
        return JobTerms(
            Roster(dict.fromkeys(sites, 1.0), min_sites=len(sites)),
            clipping=None if self.clipping_norm is None else Clipping(self.clipping_norm),
            projection=None if self.projection is None else RandomProjection(self.projection, seed=0),
            summation="plain" if self.clipping_norm is None else "masked",
            ring_bits=self.ring_bits,
        )

    def values(self, plan: Plan) -> int:
        """How many values a site sends in a round."""
        return self.projection or self.sent(plan).dimension

    def sent(self, plan: Plan) -> TrainableSubset:
        """The tensors that a site sends."""
        return TrainableSubset.matching(plan.layout, self.trained).without(self.local)

    def megabytes(self, plan: Plan, rounds: int) -> float:
        """What a site sends in so many rounds, in MB, without what a message has beside its values."""
        return rounds * self.values(plan) * (self.ring_bits or 32) / 8e6


@dataclass(frozen=True)
class Method:
    """How a model is trained.

    Attributes:
        name: `centralized`; `alone`, one site on its own pages; or an aggregator.
        learning_rate: of the sites' SGD, at the schedule's start.
        momentum: of the sites' SGD.
        starts: what it starts with in each round: empty, as the site kept it, or by the released trajectory.
        server_rate: learning rate of the server's optimizer; training without a federation has none.
        server: its other settings.
        proximal_mu: FedProx's mu.
        averaged: how much of the average over rounds stays, of 1, where another round joins it; 0 is the last model.
        site: which one trains alone.
        upload: what a site sends.
    """

    name: str
    learning_rate: float = 0.01
    momentum: float = 0.99
    starts: Momentum = "empty"
    server_rate: float = 1.0
    server: Mapping[str, float] = field(default_factory=dict)
    proximal_mu: float = 0.0
    averaged: float = 0.0
    site: str = ""
    upload: Upload = Upload()

    @property
    def label(self) -> str:
        """The method and the settings that it uses, for people."""
        parts = [self.title, f"lr {self.learning_rate:g}", f"momentum {self.momentum:g}"]
        if self.starts != "empty":
            parts[-1] += f" {self.starts}"
        if self.federated:
            parts.append(f"server {self.server_rate:g}")
        parts += [f"{name} {value:g}" for name, value in self.server.items()]
        if self.proximal_mu:
            parts.append(f"mu {self.proximal_mu:g}")
        if self.averaged:
            parts.append(f"average {self.averaged:g}")
        return ", ".join(parts)

    @property
    def title(self) -> str:
        """Its name, and which site's training it is."""
        return f"{self.site} {self.name}" if self.site else self.name

    @property
    def federated(self) -> bool:
        """Whether a server takes part."""
        return self.name not in (CENTRALIZED, ALONE)

    def roster(self, sites: Sequence[str]) -> tuple[str, ...]:
        """Who trains: the sites, one of them, or the pool of all their pages."""
        if self.name == CENTRALIZED:
            return (POOL,)
        return (self.site,) if self.name == ALONE else tuple(sites)

    def steps(self, budget: Budget, sites: Sequence[str]) -> int:
        """Steps in a row of each who trains, in a round: a site's, and those of all sites for the pool."""
        return budget.steps * len(sites) if self.name == CENTRALIZED else budget.steps

    def optimizer(self, lengths: Sequence[float]) -> ServerOptimizer:
        """The server's optimizer; `lengths` will hold the squared lengths of a round's updates when it steps."""
        if not self.federated:
            return optimizer_by_name("fedavg")
        if self.name == FEDEXP:
            return FedExP(self.server_rate, lengths)
        return optimizer_by_name(self.name, learning_rate=self.server_rate, **self.server)


@dataclass(frozen=True)
class FedExP(FedAvg):
    """FedAvg whose step is longer where the updates disagree: eta times max(1, mean |D_i|^2 / (2 |mean D|^2)).

    `lengths` has the squared length of each update of the round.
    """

    lengths: Sequence[float] = ()

    def __post_init__(self) -> None:
        pass  # not every field is a number

    def step(self, state: ServerState, model: Vector, mean_update: Vector) -> tuple[ServerState, Vector]:
        if not self.lengths:
            raise ValueError("FedExP's step needs the squared lengths of the round's updates; there are none")
        own = float(np.square(mean_update, dtype=np.float64).sum())
        longer = max(1.0, float(np.mean(self.lengths)) / (2 * own)) if own else 1.0
        return FedAvg(self.learning_rate * longer).step(state, model, mean_update)


@dataclass(frozen=True)
class Budget:
    """How long a run is: rounds, and optimizer steps of each site in a round; measured each so many rounds."""

    rounds: int
    steps: int
    every: int = 2
    schedule: Schedule = "poly"

    def measured(self, done: int) -> bool:
        """Whether the model is measured once `done` rounds are done; the start and the end always are."""
        return done % self.every == 0 or done == self.rounds
