"""One run: a method, a seed, and the model's Dice by round.

Rounds are those of `federated.round`, local training is nnU-Net's. Centralized training is a federation of one site
that holds all pages and takes all the steps, with its momentum kept; a site alone is one of its own pages. All but the
latter take the same number of steps over the same pages, with nnU-Net's schedule over the whole run.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.federation.methods import POOL, Budget, Method, Vector
from benchmarks.federation.pages import Pooled
from ecg_flare.federated.round import LocalTraining, OpenRound, run_round
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.content import content_digest
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING, TO_EVALUATE, PrepareSettings
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.task.traces.evaluate import evaluate_pages
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.page_case import PageCase
from ecg_flare.task.traces.predictor import NetworkSegmenter

_SEEDS_APART: Final = 1000


@dataclass(frozen=True)
class Point:
    """Mean trace Dice after so many rounds, over all pages and over each site's."""

    round: int
    dice: float
    by_site: Mapping[str, float]


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

    def train(self, method: Method, budget: Budget, start: Vector, seed: int) -> Iterator[tuple[Vector, Point | None]]:
        """Train and measure: the first model, then one a round, each with its point, or None where it is not due."""
        yield start, self.measure(start, 0)
        for done, model in enumerate(self.models(method, budget, start, seed), start=1):
            yield model, self.measure(model, done) if budget.measured(done) else None

    def models(self, method: Method, budget: Budget, start: Vector, seed: int) -> Iterator[Vector]:
        """Train: the model after each round, or the average over rounds, of a method that gives it."""
        average = start
        for model in self._trained(method, budget, start, seed):
            average = model + np.float32(method.averaged) * (average - model)
            yield average

    def _trained(self, method: Method, budget: Budget, start: Vector, seed: int) -> Iterator[Vector]:
        sites = method.roster(self.sites)
        terms = method.upload.terms(sites)
        training = {site: self._local_training(site, method, budget, seed) for site in sites}
        subset = self._subset(method)
        if subset is not None:
            self.own = dict.fromkeys(sites, start)
            training = {site: self._of_part(site, train, subset) for site, train in training.items()}
        lengths: list[float] = []
        training = {site: _told_lengths(train, lengths) for site, train in training.items()}
        optimizer = method.optimizer(lengths)
        model = start if subset is None else subset.take(start)
        state = optimizer.init(model.size)
        for index in range(budget.rounds):
            lengths.clear()
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

    def _local_training(self, site: str, method: Method, budget: Budget, seed: int) -> LocalTraining:
        trainer, steps = self._trainer(site), method.steps(budget, self.sites)
        # Another stream at each site: the same draws everywhere would correlate the sites' augmentation.
        site_seed = _SEEDS_APART * seed + (0 if site == POOL else 1 + self.sites.index(site))
        last: Vector | None = None  # the model, or the momentum, that the next round's momentum comes from
        rates = 0.0  # of the last round's steps, together

        def train(model: Vector, round_index: int) -> Vector:
            nonlocal last, rates
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
            momentum = last
            if method.starts == "trajectory":
                momentum = None if last is None else (last - model) / np.float32(rates)
                last, rates = model, math.fsum(map(options.learning_rate_at, range(steps)))
            update = trainer.train(model, options, momentum=momentum).update
            if method.starts == "kept":
                last = trainer.momentum
            return update

        return train

    def _trainer(self, site: str) -> LocalTrainer:
        if site not in self._trainers:
            self._trainers[site] = LocalTrainer(self.plan, self._pool() if site == POOL else self._datasets[site])
        return self._trainers[site]

    def _pool(self) -> PreparedDataset:
        return prepare(Pooled(self._datasets), POOL, self.plan, self._cache, ALL_FOR_TRAINING, log=self._log)


def _told_lengths(train: LocalTraining, lengths: list[float]) -> LocalTraining:
    """The same training, whose updates' squared lengths are added to a list."""

    def told(model: Vector, index: int) -> Vector:
        update = train(model, index)
        lengths.append(float(np.square(update, dtype=np.float64).sum()))
        return update

    return told
