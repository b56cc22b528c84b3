"""One run: a method, a seed, and the global model's Dice by round.

Rounds are those of `federated.round`, local training is nnU-Net's, and centralized training is a federation of one
site that holds all pages and takes all the steps. All methods take the same number of steps over the same pages, with
nnU-Net's schedule over the whole run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from benchmarks.federation.pages import Pooled
from ecg_flare.federated.optimizers import ServerOptimizer, optimizer_by_name
from ecg_flare.federated.parts import Clipping, Roster
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.round import LocalTraining, OpenRound, run_round
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.content import content_digest
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING, TO_EVALUATE, PrepareSettings, Schedule
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.task.traces.evaluate import evaluate_pages
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.page_case import PageCase
from ecg_flare.task.traces.predictor import NetworkSegmenter

CENTRALIZED: Final = "centralized"
_POOL: Final = "pool"
_SEEDS_APART: Final = 1000

Vector = Float32[np.ndarray, " d"]


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
    """How the global model is trained.

    Attributes:
        name: `centralized`, or an aggregator that `optimizer_by_name` knows.
        learning_rate: of the sites' SGD, at the schedule's start.
        momentum: of the sites' SGD; it starts empty in each round.
        server_rate: learning rate of the server's optimizer; centralized training has none.
        proximal_mu: FedProx's mu.
        upload: what a site sends.
    """

    name: str
    learning_rate: float = 0.01
    momentum: float = 0.99
    server_rate: float = 1.0
    proximal_mu: float = 0.0
    upload: Upload = Upload()

    @property
    def label(self) -> str:
        """The method and the settings that it uses, for people."""
        parts = [self.name, f"lr {self.learning_rate:g}", f"momentum {self.momentum:g}"]
        if self.name != CENTRALIZED:
            parts.append(f"server {self.server_rate:g}")
        if self.proximal_mu:
            parts.append(f"mu {self.proximal_mu:g}")
        return ", ".join(parts)

    @property
    def optimizer(self) -> ServerOptimizer:
        """The server's optimizer."""
        if self.name == CENTRALIZED:
            return optimizer_by_name("fedavg")
        return optimizer_by_name(self.name, learning_rate=self.server_rate)


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


@dataclass(frozen=True)
class Point:
    """Mean trace Dice after so many rounds, over all pages and over each site's."""

    round: int
    dice: float
    by_site: Mapping[str, float]


def roster(method: Method, sites: Sequence[str]) -> tuple[str, ...]:
    """Who trains: the sites, or the pool of all their pages."""
    return (_POOL,) if method.name == CENTRALIZED else tuple(sites)


def steps_of(method: Method, budget: Budget, sites: Sequence[str]) -> int:
    """Steps in a row of each who trains, in a round: the total over all is the same for every method."""
    return budget.steps * len(sites) // len(roster(method, sites))


class Bench:
    """A federation's pages, prepared once, and a trainer for each site that all runs share.

    `own` is the model that each site had after its last round, of a method that sends a part of it.
    """

    def __init__(
        self,
        plan: Plan,
        sites: Sequence[str],
        pages: CaseSource,
        measured_pages: CaseSource,
        cache: Path,
        *,
        measured_sites: Sequence[str] | None = None,
        settings: PrepareSettings = ALL_FOR_TRAINING,
        log: Callable[[str], None] = print,
    ) -> None:
        self.sites = tuple(sites)
        self.plan = plan
        self._cache = cache
        self._log = log
        self._trainers: dict[str, LocalTrainer] = {}
        self.own: dict[str, Vector] = {}
        self._datasets = {site: prepare(pages, site, plan, cache, settings, log=log) for site in self.sites}
        self._measured = {
            site: prepare(measured_pages, site, plan, cache, TO_EVALUATE, log=log)
            for site in (self.sites if measured_sites is None else measured_sites)
        }

    @property
    def pages_digest(self) -> str:
        """SHA-256 (hex) of all pages, those of training and those measured on."""
        datasets = (*self._datasets.values(), *self._measured.values())
        return hashlib.sha256("\n".join(map(content_digest, datasets)).encode()).hexdigest()

    def train(self, method: Method, budget: Budget, start: Vector, seed: int) -> Iterator[Point | None]:
        """Train and measure: a point for the start, then one a round, None where a round is not measured."""
        yield self.measure(start, 0)
        for done, model in enumerate(self.models(method, budget, start, seed), start=1):
            yield self.measure(model, done) if budget.measured(done) else None

    def models(self, method: Method, budget: Budget, start: Vector, seed: int) -> Iterator[Vector]:
        """Train: the global model after each round."""
        sites, steps = roster(method, self.sites), steps_of(method, budget, self.sites)
        terms = method.upload.terms(sites)
        training = {site: self._local_training(site, method, budget, steps, seed) for site in sites}
        subset = self._subset(method)
        if subset is not None:
            self.own = dict.fromkeys(sites, start)
            training = {site: self._of_part(site, train, subset) for site, train in training.items()}
        optimizer = method.optimizer
        model = start if subset is None else subset.take(start)
        state = optimizer.init(model.size)
        for index in range(budget.rounds):
            result = run_round(OpenRound(terms, model, state, optimizer), training, round_index=index)
            model, state = result.model, result.state
            yield model if subset is None else subset.put(start, model)

    def _subset(self, method: Method) -> TrainableSubset | None:
        if method.upload.trained == EVERY_TENSOR and not method.upload.local:
            return None
        return method.upload.sent(self.plan)

    def _of_part(self, site: str, train: LocalTraining, subset: TrainableSubset) -> LocalTraining:
        """The same training for the part of a model that is sent; the site goes on from its own rest of it."""

        def part_of(part: Vector, index: int) -> Vector:
            model = subset.put(self.own[site], part)
            update = train(model, index)
            self.own[site] = model + update
            return subset.take(update)

        return part_of

    def measure(self, model: Vector, done: int) -> Point:
        """Trace Dice on pages of patients that no site trains on; pages count alike, whosever they are."""
        segmenter = NetworkSegmenter(self.plan, model)
        sites = {site: evaluate_pages(segmenter, cases) for site, cases in self._measured_cases.items()}
        pages = [dice for evaluation in sites.values() for dice in evaluation.dice_by_case.values()]
        return Point(done, float(np.nanmean(pages)), {site: one.mean_dice for site, one in sites.items()})

    def measure_site(self, model: Vector, site: str) -> float:
        """Trace Dice of a site's own model on that site's pages."""
        return evaluate_pages(NetworkSegmenter(self.plan, model), self._measured_cases[site]).mean_dice

    @cached_property
    def _measured_cases(self) -> dict[str, list[PageCase]]:
        return {site: list(prepared_pages(dataset)) for site, dataset in self._measured.items()}

    def _local_training(self, site: str, method: Method, budget: Budget, steps: int, seed: int) -> LocalTraining:
        trainer = self._trainer(site)
        # Another stream at each site: the same draws everywhere would correlate the sites' augmentation.
        site_seed = _SEEDS_APART * seed + (0 if site == _POOL else 1 + self.sites.index(site))

        def train(model: Vector, round_index: int) -> Vector:
            options = TrainOptions(
                steps=steps,
                learning_rate=method.learning_rate,
                schedule=budget.schedule,
                first_step=round_index * steps,
                total_steps=budget.rounds * steps,
                momentum=method.momentum,
                proximal_mu=method.proximal_mu,
                seed=site_seed,
                trained=(*method.upload.trained, *method.upload.local),
            )
            return trainer.train(model, options).update

        return train

    def _trainer(self, site: str) -> LocalTrainer:
        if site not in self._trainers:
            self._trainers[site] = LocalTrainer(self.plan, self._pool() if site == _POOL else self._datasets[site])
        return self._trainers[site]

    def _pool(self) -> PreparedDataset:
        return prepare(Pooled(self._datasets), _POOL, self.plan, self._cache, ALL_FOR_TRAINING, log=self._log)
