"""What is learnt, as a value: a plan, which of its labels count, how a case is segmented, how a model is judged.

nnU-Net's training, the sums and the ledger know nothing else of a task. `kinds` finds the task of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Integer

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.label_sums import LabelSums
from ecg_flare.nnunet.plan import Plan, initial_vector

if TYPE_CHECKING:
    from torch import nn

    from ecg_flare.nnunet.case_cache import CaseEntry
    from ecg_flare.nnunet.dataset import PreparedDataset
    from ecg_flare.nnunet.learnt import SiteCases
    from ecg_flare.nnunet.settings import PrepareSettings
    from ecg_flare.nnunet.trainer import LocalTrainer

Labels = Integer[np.ndarray, " *space"]


@dataclass(frozen=True)
class DiceEvaluation:
    """A model's Dice on each case, by its name; NaN for a case in which there is nothing to find."""

    dice_by_case: Mapping[str, float]

    @property
    def mean_dice(self) -> float:
        """Mean over the cases in which there is something to find; NaN where there is none."""
        values = [value for value in self.dice_by_case.values() if not np.isnan(value)]
        return float(np.mean(values)) if values else float("nan")


def _fits(source: CaseSource, site: str) -> None:
    """Whatever the source gives fits the plan."""


@dataclass(frozen=True)
class Task:
    """One thing that nnU-Net learns; it meets `learnt.LearntTask`.

    Attributes:
        plan: of the network.
        foreground: names of the labels that are looked for: their counts are reported, their Dice judges a model.
        ignored: value of a mask that is left out of training and counts; None where the plan's labels say it.
        trainer: name of nnU-Net's trainer (`trainer.TRAINERS`).
        segment: (network, dataset, case) -> the labels that the network finds and the true ones, of one shape.
        metric: (model, dataset, torch device) -> Dice on every case of the dataset.
        made_by: files and folders of the package whose code determines the cases: prepared cases of other code are
            prepared again.
        check_source: (source, site) -> raises SiteDataError where the source's data are not what the plan is for.
        measured_preprocessed: whether `metric` needs the dataset preprocessed.
        further: (model, cases, torch device) -> what is measured beside Dice, by name; None where nothing is.
    """

    plan: Plan
    foreground: tuple[str, ...]
    ignored: int | None
    trainer: str
    segment: Callable[[nn.Module, PreparedDataset, CaseEntry], tuple[Labels, Labels]]
    metric: Callable[[Float32[np.ndarray, " d"], PreparedDataset, str], DiceEvaluation]
    made_by: tuple[str, ...]
    check_source: Callable[[CaseSource, str], None] = _fits
    measured_preprocessed: bool = False
    further: Callable[[Float32[np.ndarray, " d"], SiteCases, str], Mapping[str, float]] | None = None

    @property
    def labels(self) -> Mapping[str, tuple[int, ...]]:
        """Name -> values of a mask that belong to it."""
        return self.plan.labels

    @property
    def foreground_places(self) -> tuple[int, ...]:
        """Places of the foreground's labels among all labels."""
        names = tuple(self.labels)
        return tuple(names.index(name) for name in self.foreground)

    @property
    def sums(self) -> LabelSums:
        """How counts on held-out cases are summed: the mean Dice over cases, as nnU-Net reports it."""
        return LabelSums(self.foreground, self.foreground_places)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image's channels."""
        return self.plan.channels

    @property
    def reader(self) -> str:
        """Name of nnU-Net's class that reads and writes the files of a case."""
        return str(self.plan.plans["image_reader_writer"])

    @property
    def ignored_value(self) -> int | None:
        """The value of a mask that is left out, by the task or by its plan's labels."""
        return self.plan.ignored if self.ignored is None else self.ignored

    @property
    def to_evaluate(self) -> PrepareSettings:
        """How cases are prepared that nothing is trained on."""
        from ecg_flare.nnunet.settings import TO_EVALUATE

        return replace(TO_EVALUATE, preprocess=self.measured_preprocessed)

    def initial_model(self, seed: int) -> Float32[np.ndarray, " d"]:
        """nnU-Net's initialization (He), drawn from `seed`."""
        return initial_vector(self.plan, seed)

    def prepare(self, cases: SiteCases, settings: PrepareSettings, log: Callable[[str], None]) -> PreparedDataset:
        """The site's cases in nnU-Net's form; raises as `dataset.prepare`."""
        from ecg_flare.nnunet.dataset import prepare

        return prepare(cases.source, cases.site, self.plan, cases.cache, settings, log=log)

    def site_trainer(self, cases: PreparedDataset, threads: int, device: str) -> LocalTrainer:
        """nnU-Net's own trainer on those cases."""
        from ecg_flare.nnunet.trainer import LocalTrainer

        return LocalTrainer(self.plan, cases, threads=threads, device=device)

    def evaluate(self, model: Float32[np.ndarray, " d"], cases: PreparedDataset, device: str) -> DiceEvaluation:
        """A model's Dice on every case."""
        return self.metric(model, cases, device)

    def measures(self, model: Float32[np.ndarray, " d"], cases: SiteCases, device: str) -> Mapping[str, float]:
        """What is measured beside Dice, by name; raises ConfigError where nothing is."""
        if self.further is None:
            raise ConfigError(
                f"the task of plan '{self.plan.name}' measures nothing beside Dice: leave the measures out"
            )
        return self.further(model, cases, device)

    def export(self, model: Float32[np.ndarray, " d"], folder: Path) -> Path:
        """Write the folder that stock nnU-Net loads; raises StorageError where it cannot be written."""
        from ecg_flare.nnunet.export import export_model_folder

        return export_model_folder(model, self.plan, folder)


@dataclass(frozen=True)
class LabelCounts:
    """Pixels or voxels by label: found rightly, found wrongly, missed. They can be summed over cases and sites."""

    tp: tuple[int, ...]
    fp: tuple[int, ...]
    fn: tuple[int, ...]

    def dice(self, *labels: int) -> float:
        """Dice of labels, by their place, over all that was counted; NaN where truth and prediction have none."""
        tp, fp, fn = self.of(labels)
        size = 2 * tp + fp + fn
        return 2 * tp / size if size else float("nan")

    def of(self, labels: tuple[int, ...]) -> tuple[int, int, int]:
        """tp, fp and fn of labels together, by their place."""
        tp, fp, fn = (sum(counts[label] for label in labels) for counts in (self.tp, self.fp, self.fn))
        return tp, fp, fn


def count_labels(task: Task, predicted: Labels, truth: Labels) -> Integer[np.ndarray, "3 labels"]:
    """tp, fp and fn of each label, where the truth is known."""
    known = np.ones(truth.shape, bool) if task.ignored_value is None else truth != task.ignored_value
    counts: list[Any] = []
    for values in task.labels.values():
        found, there = np.isin(predicted, values) & known, np.isin(truth, values) & known
        counts.append([np.count_nonzero(pair) for pair in (found & there, found & ~there, there & ~found)])
    return np.array(counts, np.int64).T
