"""nnU-Net's own trainer, driven one federated round at a time.

A round starts from the global model with empty momentum, or the one that is given, and freshly seeded generators, so
that its result depends on what it is given alone, whichever process runs it: on one CPU thread bit by bit.
"""

from __future__ import annotations

import functools
import importlib
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float32, Integer

from ecg_flare.errors import ConfigError
from ecg_flare.federated.subset import EVERY_TENSOR
from ecg_flare.federated.update import ParameterLayout
from ecg_flare.nnunet.case_cache import CaseEntry
from ecg_flare.nnunet.dataset import PreparedDataset
from ecg_flare.nnunet.environment import limit_threads, nnunet_environment
from ecg_flare.nnunet.kinds import task_of
from ecg_flare.nnunet.local_round import momentum_of, proximal_term, seeded, start_momentum, thaw, update_of
from ecg_flare.nnunet.plan import Plan, parameter_layout, unflatten_into
from ecg_flare.nnunet.settings import TrainingSettings, check
from ecg_flare.nnunet.task import LabelCounts, count_labels

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

_POLY_EXPONENT = 0.9

TRAINERS: Final = {
    "nnUNetTrainer": "nnUNetTrainer",
    "nnUNetTrainerNoMirroring": "variants.data_augmentation.nnUNetTrainerNoMirroring",
}
"""nnU-Net's trainers that a task may name, and the modules below nnU-Net's that they stand in."""


@dataclass(frozen=True)
class TrainOptions(TrainingSettings):
    """What one round of local training does: its settings, and where in the job it stands.

    A 'poly' schedule falls as nnU-Net's does, (1 - step / total_steps)^0.9.

    Attributes:
        first_step: steps that all earlier rounds did, so that a schedule runs over the whole job.
        total_steps: steps of the whole job; None for this round's alone.
        seed: with `first_step` it seeds what the round draws.
        trained: shell patterns of the tensors that are trained; the others stay as they are, bit for bit.

    Raises ConfigError for an impossible value.
    """

    first_step: int = 0
    total_steps: int | None = None
    seed: int = 0
    trained: tuple[str, ...] = EVERY_TENSOR

    def __post_init__(self) -> None:
        super().__post_init__()
        check(
            ("first_step", self.first_step, self.first_step >= 0, "at least 0"),
            ("total_steps", self.total_steps, self._last_step <= self._horizon, f"at least {self._last_step}"),
            ("seed", self.seed, self.seed >= 0, "at least 0"),
        )

    @property
    def _last_step(self) -> int:
        return self.first_step + self.steps

    @property
    def _horizon(self) -> int:
        return self._last_step if self.total_steps is None else self.total_steps

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of step `step` of the round, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 - (self.first_step + step) / self._horizon) ** _POLY_EXPONENT


@dataclass(frozen=True, eq=False)
class LocalUpdate:
    """What one round of local training gave: local minus global model, the mean loss, and its time."""

    update: Float32[np.ndarray, " d"]
    loss: float
    seconds: float


class LocalTrainer:
    """nnU-Net's trainer for one plan and one site's prepared cases.

    Augmentation, loss, deep supervision, sampling and optimizer are those of nnU-Net's trainer that the task names.
    """

    def __init__(self, plan: Plan, dataset: PreparedDataset, *, threads: int = 1, device: str = "cpu") -> None:
        import torch

        limit_threads(threads)
        self._plan = plan
        self._task = task_of(plan)
        self._dataset = dataset
        scratch = Path(tempfile.mkdtemp(prefix="ecg_flare-nnunet-"))
        self._remove_scratch = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        with nnunet_environment(preprocessed=dataset.preprocessed, results=scratch):
            self._trainer = _site_trainer_class(self._task.trainer)(
                {**plan.nnunet_plans(), "continue_training": False},
                plan.configuration_name,
                0,
                dataset.nnunet_dataset_json(plan),
                torch.device(device),
            )
            self._trainer.case_split = (dataset.names("train"), dataset.names("val") or dataset.names("train"))
            self._trainer.initialize()
            self._trainer.set_deep_supervision_enabled(True)
            self._batches, _ = self._trainer.get_dataloaders()
            self._loader = self._batches.data_loader
            self._cases = list(self._loader.indices)
        _disable_blur_benchmark(self._batches)

    @property
    def layout(self) -> ParameterLayout:
        """Name and shape of the network's tensors."""
        return parameter_layout(self._plan)

    def train(
        self,
        model: Float32[np.ndarray, " d"],
        options: TrainOptions,
        *,
        cases: Sequence[str] | None = None,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
        momentum: Float32[np.ndarray, " d"] | None = None,
    ) -> LocalUpdate:
        """Train one round from the global model, on the named cases alone where `cases` names some.

        `on_step` hears of each step (counted from 0) and its loss. `momentum` is the optimizer's buffer to start with,
        a running sum of gradients; None is an empty one. Raises UpdateError where the result is not finite.
        """
        started = time.monotonic()
        trainer = self._trainer
        unflatten_into(trainer.network, model)
        trainer.optimizer.state.clear()
        trainer.optimizer.param_groups[0]["momentum"] = options.momentum
        if trainer.grad_scaler is not None:
            trainer.grad_scaler = type(trainer.grad_scaler)("cuda")
        trainer.network.train()
        thaw(trainer.network, options.trained)
        if momentum is not None:
            start_momentum(trainer.optimizer, trainer.network, momentum)
        self._loader.indices = self._cases if cases is None else list(cases)
        losses = []
        with seeded(options.seed, options.first_step), proximal_term(trainer.network, options.proximal_mu, self._scale):
            for step in range(options.steps):
                trainer.optimizer.param_groups[0]["lr"] = options.learning_rate_at(step)
                losses.append(float(trainer.train_step(next(self._batches))["loss"]))
                on_step(step, losses[-1])
        update = update_of(trainer.network, model, options)
        return LocalUpdate(update, float(np.mean(losses)), time.monotonic() - started)

    @property
    def momentum(self) -> Float32[np.ndarray, " d"]:
        """The optimizer's buffer after the last round; zeros of tensors that it did not train."""
        return momentum_of(self._trainer.optimizer, self._trainer.network)

    def _scale(self) -> float:
        scaler = self._trainer.grad_scaler
        return 1.0 if scaler is None else float(scaler.get_scale())

    def validate(self, model: Float32[np.ndarray, " d"]) -> LabelCounts:
        """Count, by label, what the model finds in whole cases of the patients that it is not trained on."""
        counts = np.zeros((3, len(self._task.labels)), np.int64)
        for _, found in self.held_out(model):
            counts += found
        tp, fp, fn = (tuple(row) for row in counts.tolist())
        return LabelCounts(tp, fp, fn)

    def held_out(self, model: Float32[np.ndarray, " d"]) -> Iterator[tuple[CaseEntry, Integer[np.ndarray, "3 labels"]]]:
        """Each case of the patients that the model is not trained on, and its tp, fp and fn by label."""
        module = self._trainer.network
        unflatten_into(module, model)
        module.eval()
        self._trainer.set_deep_supervision_enabled(False)
        try:
            for entry in self._dataset.entries:
                if entry.split == "val":
                    yield entry, count_labels(self._task, *self._task.segment(module, self._dataset, entry))
        finally:
            self._trainer.set_deep_supervision_enabled(True)

    def close(self) -> None:
        """Remove the scratch folder of nnU-Net's logs; also done when the trainer is garbage."""
        self._remove_scratch()


@functools.cache
def _site_trainer_class(name: str) -> type[nnUNetTrainer]:
    if name not in TRAINERS:
        raise ConfigError(f"unknown trainer {name!r}: choose one of {', '.join(TRAINERS)}")
    with nnunet_environment():
        base = getattr(importlib.import_module(f"nnunetv2.training.nnUNetTrainer.{TRAINERS[name]}"), name)

    class SiteTrainer(base):  # type: ignore[misc, valid-type]
        """nnU-Net's trainer with the site's own split, and nothing printed, plotted or compiled."""

        case_split: tuple[list[str], list[str]] = ([], [])

        def do_split(self) -> tuple[list[str], list[str]]:
            return self.case_split

        def print_to_log_file(self, *args: object, **kwargs: object) -> None:
            pass

        def _do_i_compile(self) -> bool:
            return False  # a compiled network renames its parameters, and warms up longer than a round lasts

    return SiteTrainer


def _disable_blur_benchmark(batches: Any) -> None:
    # nnU-Net's blur times two algorithms and keeps the quicker one: two processes could then differ in the last bits.
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform

    pending = [batches.data_loader.transforms]
    while pending:
        transform = pending.pop()
        if isinstance(transform, GaussianBlurTransform):
            transform.benchmark = False
        pending.extend(getattr(transform, "transforms", []))
        if hasattr(transform, "transform"):
            pending.append(transform.transform)
