"""Torch modules as a kind of task: the network, the loss and the data are somebody else's, all the rest is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError
from ecg_flare.federated.update import layout_size
from ecg_flare.nnunet.kinds import TaskKind
from ecg_flare.nnunet.label_sums import LabelSums
from ecg_flare.nnunet.learnt import AgreedPlan, SiteCases
from ecg_flare.nnunet.settings import TO_EVALUATE, PrepareSettings
from ecg_flare.nnunet.task import DiceEvaluation, LabelCounts
from ecg_flare.task.modules.dataset import PreparedExamples, prepare_examples
from ecg_flare.task.modules.plan import KIND_NAME, ModulePlan, read_plan
from ecg_flare.task.modules.task import admit_task
from ecg_flare.task.modules.trainer import ModuleTrainer

WEIGHTS: Final = "weights.pt"
PLAN: Final = "plan.json"


@dataclass(frozen=True)
class ModuleLearning:
    """A plan's task as the training process asks for it; it meets `nnunet.learnt.LearntTask`."""

    plan: ModulePlan

    @property
    def foreground_places(self) -> tuple[int, ...]:
        """All labels are looked for."""
        return self.sums.places

    @property
    def sums(self) -> LabelSums:
        """Counts are summed to the F1 of each label over all cases."""
        return LabelSums(self.plan.labels, tuple(range(len(self.plan.labels))), by_case=False)

    @property
    def to_evaluate(self) -> PrepareSettings:
        """Cases that nothing is trained on."""
        return TO_EVALUATE

    def initial_model(self, seed: int) -> Float32[np.ndarray, " d"]:
        """The untrained module's parameters, drawn from `seed`; raises as `network.network_of`."""
        from ecg_flare.task.modules.network import initial_model

        return initial_model(self.plan, seed)

    def prepare(self, cases: SiteCases, settings: PrepareSettings, log: Callable[[str], None]) -> PreparedExamples:
        """Read and check the site's examples; raises as `dataset.prepare_examples`."""
        return prepare_examples(cases, settings, log)

    def site_trainer(self, cases: PreparedExamples, threads: int, device: str) -> ModuleTrainer:
        """A trainer on those examples."""
        return ModuleTrainer(self.plan, cases, threads=threads, device=device)

    def evaluate(self, model: Float32[np.ndarray, " d"], cases: PreparedExamples, device: str) -> DiceEvaluation:
        """F1 of what is found in each case, over all labels, which is the Dice of these counts."""
        trainer = ModuleTrainer(self.plan, cases, device=device)
        found = trainer.counted(model, [entry.name for entry in cases.entries])
        by_case = {}
        for name, counts in found.items():
            tp, fp, fn = (tuple(row) for row in counts.tolist())
            by_case[name] = LabelCounts(tp, fp, fn).dice(*self.foreground_places)
        return DiceEvaluation(by_case)

    def measures(self, model: Float32[np.ndarray, " d"], cases: SiteCases, device: str) -> Mapping[str, float]:
        """Nothing beside Dice; raises ConfigError."""
        raise ConfigError(f"the task of plan '{self.plan.name}' measures nothing beside Dice: leave the measures out")

    def export(self, model: Float32[np.ndarray, " d"], folder: Path) -> Path:
        """Write `weights.pt`, a state dict for the module, and `plan.json`; it needs neither class nor module.

        Raises UpdateError for a vector of another length, StorageError where the folder cannot be written.
        """
        import torch

        from ecg_flare.nnunet.export import atomic_folder, check_length

        check_length(model, self.plan)
        ends = np.cumsum([layout_size([entry]) for entry in self.plan.layout])
        pieces = np.split(model, ends[:-1])
        weights = {
            name: torch.from_numpy(piece.reshape(shape).copy())
            for (name, shape), piece in zip(self.plan.layout, pieces, strict=True)
        }
        with atomic_folder(folder) as building:
            torch.save(weights, building / WEIGHTS)
            (building / PLAN).write_text(self.plan.document)
        return folder


def _admit(plan: AgreedPlan) -> None:
    admit_task(plan.named_class)


def _task(plan: AgreedPlan) -> ModuleLearning:
    if not isinstance(plan, ModulePlan):
        raise ConfigError(f"the plan {plan.name!r} is no plan of a torch module")
    return ModuleLearning(plan)


KIND: Final = TaskKind(KIND_NAME, _task, presets={}, read=read_plan, admit=_admit)
