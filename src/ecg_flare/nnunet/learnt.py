"""The seam between what is learnt and how it is federated: the plan that all agree on, and what a task can do.

Sums, clipping, privacy, the ledger and a site's checks work on the parameters in order, whatever network they are of.
nnU-Net's tasks (`task.Task`) meet the seam, and so does a task whose network is any torch module (`task/modules`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from jaxtyping import Float32, Integer

from ecg_flare.federated.update import ParameterLayout
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.case_cache import CaseEntry
from ecg_flare.nnunet.label_sums import LabelSums
from ecg_flare.nnunet.settings import PrepareSettings
from ecg_flare.nnunet.split import Split

if TYPE_CHECKING:
    from ecg_flare.nnunet.task import DiceEvaluation, LabelCounts
    from ecg_flare.nnunet.trainer import LocalUpdate, TrainOptions

Vector = Float32[np.ndarray, " d"]


class AgreedPlan(Protocol):
    """What every site and the server hold alike before a round means anything.

    Attributes:
        name: what people call it; it is not in the hash.
        kind: name of the kind of task that it is for (`kinds`).
        hash: SHA-256 (hex) of all that changes training or its meaning.
        document: all that the hash is of, as JSON text.
        layout: ordered (name, shape) of the network's parameters: what gives a flat vector its meaning.
        layout_digest: SHA-256 (hex) of the layout.
        last_part: patterns of the tensors that a job trains which trains but a part of the network.
        named_class: class path of somebody else's code that training needs; '' where the package has it all.
        named_args: its arguments.
        admitted: whether this process was given an object of that class, so that training may import it.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def hash(self) -> str: ...

    @property
    def document(self) -> str: ...

    @property
    def layout(self) -> ParameterLayout: ...

    @property
    def layout_digest(self) -> str: ...

    @property
    def last_part(self) -> tuple[str, ...]: ...

    @property
    def named_class(self) -> str: ...

    @property
    def named_args(self) -> Mapping[str, Any]: ...

    @property
    def admitted(self) -> bool: ...

    def as_admitted(self) -> AgreedPlan:
        """The same plan in a process that was given an object of its class."""
        ...


class PreparedCases(Protocol):
    """A site's cases as a trainer reads them.

    Attributes:
        folder: the entry of the cache.
        entries: the cases, in the source's order.
        reused: whether they had been prepared before.
        patients: name of each case -> whose it is.
    """

    @property
    def folder(self) -> Path: ...

    @property
    def entries(self) -> tuple[CaseEntry, ...]: ...

    @property
    def reused(self) -> bool: ...

    @property
    def n_patients(self) -> int: ...

    @property
    def patients(self) -> Mapping[str, str]: ...

    def names(self, split: Split) -> list[str]: ...


@dataclass(frozen=True)
class SiteCases:
    """A site's cases: where they come from, whose, for which plan, and the folder where prepared ones are kept."""

    source: CaseSource
    site: str
    plan: AgreedPlan
    cache: Path


P = TypeVar("P", bound=PreparedCases)


class SiteTrainer(Protocol):
    """Trains one site's model, a round at a time; a round depends on (model, cases, options) alone."""

    @property
    def layout(self) -> ParameterLayout:
        """Ordered (name, shape) of the network's parameters."""
        ...

    def train(self, model: Vector, options: TrainOptions, *, cases: Sequence[str] | None = None) -> LocalUpdate:
        """Train a round from the global model, on the named cases alone where `cases` names some.

        Raises UpdateError where the result is not finite.
        """
        ...

    def held_out(self, model: Vector) -> Iterator[tuple[CaseEntry, Integer[np.ndarray, "3 labels"]]]:
        """Each case of the patients that the model is not trained on, and its tp, fp and fn by label."""
        ...

    def validate(self, model: Vector) -> LabelCounts:
        """The sums of these counts."""
        ...


class LearntTask(Protocol[P]):
    """What the training process asks of a task; P is how its cases are prepared."""

    @property
    def foreground_places(self) -> tuple[int, ...]:
        """Places, among all labels, of those that are looked for."""
        ...

    @property
    def sums(self) -> LabelSums:
        """How counts on held-out cases are summed, and what the sums say; known without the network."""
        ...

    @property
    def to_evaluate(self) -> PrepareSettings:
        """How cases are prepared that nothing is trained on."""
        ...

    def initial_model(self, seed: int) -> Vector:
        """The untrained network's parameters, in order, drawn from `seed`."""
        ...

    def prepare(self, cases: SiteCases, settings: PrepareSettings, log: Callable[[str], None]) -> P:
        """Bring a site's cases into the form that the trainer reads, or find them in the cache.

        Raises SiteDataError for cases that cannot be learnt from, StorageError where the cache cannot be written.
        """
        ...

    def site_trainer(self, cases: P, threads: int, device: str) -> SiteTrainer:
        """A trainer on those cases, which `prepare` gave."""
        ...

    def evaluate(self, model: Vector, cases: P, device: str) -> DiceEvaluation:
        """A model's Dice on every case."""
        ...

    def measures(self, model: Vector, cases: SiteCases, device: str) -> Mapping[str, float]:
        """What the task measures beside Dice, by name, on a source's cases.

        Raises ConfigError where the task measures nothing else, or not on these cases.
        """
        ...

    def export(self, model: Vector, folder: Path) -> Path:
        """Write a model for use elsewhere; raises StorageError where it cannot be written."""
        ...
