"""A federation in memory, some of whose sites are poisoned: real pages, real training, and one rule for the mean."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.federation.pages import PROFILES
from benchmarks.poisoning.poisons import Poison, SwappedLabels, Vector, flipped, noise
from ecg_flare.errors import UpdateError
from ecg_flare.federated.accumulator import Accumulator
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.robust import RobustRule
from ecg_flare.federated.running_sum import RunningSum
from ecg_flare.federated.single_updates import SingleUpdates
from ecg_flare.nnunet.content import content_digest
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING, TO_EVALUATE
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.task.traces.evaluate import evaluate_pages
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.predictor import NetworkSegmenter
from ecg_flare.task.traces.sources import SyntheticPages

PUBLIC: Final = "public"
_PLAN: Final = "tiny"
_PUBLIC_SEED: Final = 2
_SEEDS_APART: Final = 1000
_UPDATES_KEPT: Final = 256


@dataclass(frozen=True)
class Size:
    """How large a federation is, and how long it trains.

    sites: all sites, the poisoned ones too.
    poisoned: how many of them are poisoned, the last ones.
    rounds: rounds of training.
    steps: optimizer steps of a site in a round.
    pages: pages of a site.
    public_pages: pages that the models are measured on, in a profile of no site.
    learning_rate: of the sites' SGD, the same in all rounds.
    momentum: of the sites' SGD; it starts empty in each round.
    """

    sites: int = 7
    poisoned: int = 2
    rounds: int = 3
    steps: int = 3
    pages: int = 3
    public_pages: int = 2
    learning_rate: float = 0.05
    momentum: float = 0.9

    @property
    def names(self) -> tuple[str, ...]:
        """The sites."""
        return tuple(f"site-{number}" for number in range(1, self.sites + 1))

    @property
    def poisoned_names(self) -> tuple[str, ...]:
        """The poisoned sites."""
        return self.names[self.sites - self.poisoned :]


@dataclass(frozen=True)
class Outcome:
    """What training came to.

    dice: mean trace Dice on the public pages after the last round.
    norm: L2 norm of the model's way from the start.
    failures: updates that were refused and rounds that failed, with their reasons.
    """

    dice: float
    norm: float
    failures: tuple[str, ...] = ()


class Federation:
    """Sites with prepared pages and a trainer each, which all runs share."""

    def __init__(self, size: Size, cache: Path, *, log: Callable[[str], None] = print) -> None:
        self._size = size
        self._plan = plan_preset(_PLAN)
        self.start: Vector = load_bundled("start").vector
        profiles = list(PROFILES.values())
        self._pages = SyntheticPages(
            {site: profiles[index % len(profiles)] for index, site in enumerate(size.names)},
            size.pages,
            pages_per_patient=1,
        )
        public = SyntheticPages({PUBLIC: PUBLIC}, size.public_pages, pages_per_patient=1, seed=_PUBLIC_SEED)
        self._public = prepare(public, PUBLIC, self._plan, cache, TO_EVALUATE, log=log)
        self._datasets = {(site, False): self._prepared(site, False, cache, log) for site in size.names}
        self._datasets |= {(site, True): self._prepared(site, True, cache, log) for site in size.poisoned_names}
        self._trainers: dict[tuple[str, bool], LocalTrainer] = {}
        self._updates: OrderedDict[tuple[str, bool, int, int, str], Vector] = OrderedDict()

    @property
    def pages_digest(self) -> str:
        """The content of all pages, those measured on too."""
        return " ".join(content_digest(dataset)[:8] for dataset in (*self._datasets.values(), self._public))

    def run(self, rule: RobustRule | None, poison: Poison, seed: int) -> Outcome:
        """Train from the start and measure the last model; without a rule the updates are averaged."""
        optimizer = FedAvg()
        model, state = self.start, optimizer.init(self.start.size)
        failures = []
        for index in range(self._size.rounds):
            updates = self._accumulator(rule)
            for site in self._size.names:
                try:
                    updates.add(site, self._update(site, model, poison, index, seed))
                except UpdateError as error:
                    failures.append(f"round {index + 1}, {site}: {error}")
            try:
                state, model = optimizer.step(state, model, updates.mean())
            except UpdateError as error:
                failures.append(f"round {index + 1}: {error}")
        return Outcome(self.dice(model), float(np.linalg.norm(model - self.start)), tuple(failures))

    def dice(self, model: Vector) -> float:
        """Mean trace Dice on the public pages."""
        return evaluate_pages(NetworkSegmenter(self._plan, model), prepared_pages(self._public)).mean_dice

    def _accumulator(self, rule: RobustRule | None) -> Accumulator:
        weights = dict.fromkeys(self._size.names, 1.0)
        if rule is None:
            return RunningSum(self.start.size, weights)
        return SingleUpdates(self.start.size, weights, rule)

    def _update(self, site: str, model: Vector, poison: Poison, index: int, seed: int) -> Vector:
        poison = poison if site in self._size.poisoned_names else "none"
        if poison == "noise":
            return noise(model.size, np.random.default_rng([seed, self._size.names.index(site), index]))
        update = self._trained((site, poison == "label_swap"), model, index, seed)
        return flipped(update) if poison == "sign_flip" else update

    def _trained(self, which: tuple[str, bool], model: Vector, index: int, seed: int) -> Vector:
        # All runs of a seed share their first round, and those in which no poison reached the model the later ones.
        key = (*which, index, seed, hashlib.sha256(model.tobytes()).hexdigest())
        if key not in self._updates:
            self._updates[key] = self._newly_trained(which, model, index, seed)
        self._updates.move_to_end(key)
        if len(self._updates) > _UPDATES_KEPT:
            self._updates.popitem(last=False)
        return self._updates[key]

    def _newly_trained(self, which: tuple[str, bool], model: Vector, index: int, seed: int) -> Vector:
        if which not in self._trainers:
            self._trainers[which] = LocalTrainer(self._plan, self._datasets[which])
        size = self._size
        options = TrainOptions(
            steps=size.steps,
            learning_rate=size.learning_rate,
            schedule="constant",
            first_step=index * size.steps,
            momentum=size.momentum,
            seed=_SEEDS_APART * seed + size.names.index(which[0]),
        )
        return self._trainers[which].train(model, options).update

    def _prepared(self, site: str, swapped: bool, cache: Path, log: Callable[[str], None]) -> PreparedDataset:
        source = SwappedLabels(self._pages) if swapped else self._pages
        return prepare(source, site, self._plan, cache, ALL_FOR_TRAINING, log=log)
