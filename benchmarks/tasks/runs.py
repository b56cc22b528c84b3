"""Training of the hippocampus over sites, and the Dice by label on the cases that no site trains on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from benchmarks.tasks.sites import POOL, SITES, TableSites
from ecg_flare.federated.optimizers import optimizer_by_name
from ecg_flare.federated.parts import Roster
from ecg_flare.federated.round import OpenRound, run_round
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.kinds import task_of
from ecg_flare.nnunet.plan import Plan, initial_vector, network, unflatten_into
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING
from ecg_flare.nnunet.task import LabelCounts, count_labels
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions

Vector = Float32[np.ndarray, " d"]
METHODS: Final = ("local", "fedavg", "fedprox", "fedadam", "centralized")
_PROXIMAL_MU: Final = 0.01
_ADAM_RATE: Final = 0.02


@dataclass(frozen=True)
class Budget:
    """Rounds, steps of each site in a round, and how a site trains."""

    rounds: int
    steps: int
    learning_rate: float
    momentum: float


@dataclass(frozen=True)
class Measured:
    """Dice by label over the held-out cases of each site, and over all of them."""

    by_site: Mapping[str, tuple[float, ...]]
    overall: tuple[float, ...]


class Bench:
    """The sites' cases, prepared once, and a trainer for each who trains."""

    def __init__(self, plan: Plan, folder: Path, cache: Path, *, test_cases: int, log: Callable[[str], None]) -> None:
        self._plan = plan
        self._task = task_of(plan)
        train, test = TableSites(str(folder), "train"), TableSites(str(folder), "test", test_cases)
        ready = partial(prepare, plan=plan, cache=cache, settings=ALL_FOR_TRAINING, log=log)
        self._train = {site: ready(train, site) for site in (*SITES, POOL)}
        self._test: dict[str, PreparedDataset] = {site: ready(test, site) for site in SITES}
        self._trainers: dict[str, LocalTrainer] = {}

    def run(self, method: str, budget: Budget, seed: int) -> dict[str, Measured]:
        """Train by a method, and measure: one model, or one of each site where they train alone."""
        start = initial_vector(self._plan, seed)
        if method == "local":
            return {site: self.measure(self._alone(site, start, budget, seed)) for site in SITES}
        if method == "centralized":
            many = Budget(budget.rounds, budget.steps * len(SITES), budget.learning_rate, budget.momentum)
            return {"": self.measure(self._alone(POOL, start, many, seed))}
        return {"": self.measure(self._federated(method, start, budget, seed))}

    def measure(self, model: Vector) -> Measured:
        """Dice of each label but the background, over voxels of all cases together."""
        module = network(self._plan)
        unflatten_into(module, model)
        module.eval()
        counts = {site: self._counted(module, dataset) for site, dataset in self._test.items()}
        return Measured({site: _dice(one) for site, one in counts.items()}, _dice(sum(counts.values())))

    def _counted(self, module: object, dataset: PreparedDataset) -> np.ndarray:
        total = np.zeros((3, len(self._task.labels)), np.int64)
        for entry in dataset.entries:
            total += count_labels(self._task, *self._task.segment(module, dataset, entry))
        return total

    def _alone(self, who: str, start: Vector, budget: Budget, seed: int) -> Vector:
        model = start
        for index in range(budget.rounds):
            model = model + self._update(who, model, budget, index, seed)
        return model

    def _federated(self, method: str, start: Vector, budget: Budget, seed: int) -> Vector:
        terms = JobTerms(Roster(dict.fromkeys(SITES, 1.0), min_sites=len(SITES)))
        rate = {"learning_rate": _ADAM_RATE} if method == "fedadam" else {}
        optimizer = optimizer_by_name(method, **rate)
        mu = _PROXIMAL_MU if method == "fedprox" else 0.0

        def training(site: str) -> Callable[[Vector, int], Vector]:
            return lambda model, index: self._update(site, model, budget, index, seed, mu)

        model, state = start, optimizer.init(start.size)
        for index in range(budget.rounds):
            opened = OpenRound(terms, model, state, optimizer)
            result = run_round(opened, {site: training(site) for site in SITES}, round_index=index)
            model, state = result.model, result.state
        return model

    def _update(self, who: str, model: Vector, budget: Budget, index: int, seed: int, mu: float = 0.0) -> Vector:
        if who not in self._trainers:
            self._trainers[who] = LocalTrainer(self._plan, self._train[who])
        options = TrainOptions(
            steps=budget.steps,
            learning_rate=budget.learning_rate,
            momentum=budget.momentum,
            schedule="poly",
            first_step=index * budget.steps,
            total_steps=budget.rounds * budget.steps,
            proximal_mu=mu,
            seed=1000 * seed + (*SITES, POOL).index(who),
        )
        return self._trainers[who].train(model, options).update


def _dice(counts: np.ndarray) -> tuple[float, ...]:
    tp, fp, fn = (tuple(row) for row in counts.tolist())
    found = LabelCounts(tp, fp, fn)
    return tuple(found.dice(label) for label in range(1, len(tp)))


def mean(values: Sequence[float]) -> float:
    """The mean of some Dice."""
    return float(np.mean(values))
