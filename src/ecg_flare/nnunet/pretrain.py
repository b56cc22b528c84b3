"""Train a network on public cases: the start of a federation, or a model to hand out.

Rendered cases, say, belong to nobody, so that this costs no privacy. On one CPU thread the result is a function of
(plan, source, steps, learning rate, seed) bit by bit, given the same versions of torch and of this package.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.kinds import nnunet_plan, task_of
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.nnunet.settings import Compute, TrainingSettings

if TYPE_CHECKING:
    from ecg_flare.nnunet.trainer import TrainOptions

_HISTORY_POINTS: Final = 50
_LOG_INTERVAL_S: Final = 10.0
_ONE_THREAD: Final = Compute()


@dataclass(frozen=True)
class HistoryPoint:
    """Mean training loss of the steps up to and with `step` since the point before."""

    step: int
    loss: float


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A pretrained model, its training loss over time, and its Dice on the patients left out of training."""

    vector: Float32[np.ndarray, " d"]
    history: tuple[HistoryPoint, ...]
    validation_dice: float


def pretraining(steps: int, *, learning_rate: float = TrainingSettings.learning_rate, seed: int = 0) -> TrainOptions:
    """How a public model is trained: in one go, by nnU-Net's own schedule.

    Raises ConfigError for an impossible value.
    """
    from ecg_flare.nnunet.trainer import TrainOptions

    return TrainOptions(steps, learning_rate, schedule="poly", seed=seed)


def pretrain(
    cases: SiteCases,
    options: TrainOptions,
    *,
    compute: Compute = _ONE_THREAD,
    start: Float32[np.ndarray, " d"] | None = None,
    log: Callable[[str], None] = print,
) -> Pretrained:
    """Train from nnU-Net's initialization (or from `start`) on a source's cases.

    Shows a bar on a terminal and log lines otherwise.

    Raises:
        SiteDataError: the source has no cases, or of one patient only.
        StorageError: the cache cannot be written.
    """
    from ecg_flare.nnunet.trainer import LocalTrainer

    plan = nnunet_plan(cases.plan)
    dataset = prepare(cases.source, cases.site, plan, cases.cache, log=log)
    model = initial_vector(plan, options.seed) if start is None else start
    trainer = LocalTrainer(plan, dataset, threads=compute.threads, device=compute.device)
    progress = _Progress(options.steps, log)
    result = trainer.train(model, options, on_step=progress.step)
    trained = model + result.update
    dice = trainer.validate(trained).dice(*task_of(plan).foreground_places)
    trainer.close()
    log(f"{options.steps} steps in {result.seconds:.0f} s; Dice {dice:.3f} on patients left out")
    return Pretrained(trained, tuple(progress.history), dice)


class _Progress:
    def __init__(self, steps: int, log: Callable[[str], None]) -> None:
        self.history: list[HistoryPoint] = []
        self._steps = steps
        self._log = log
        self._losses: list[float] = []
        self._logged = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=steps, desc="training", unit="step")

    def step(self, step: int, loss: float) -> None:
        self._losses.append(loss)
        last = step + 1 == self._steps
        if last or len(self._losses) >= max(1, self._steps // _HISTORY_POINTS):
            self.history.append(HistoryPoint(step + 1, float(np.mean(self._losses))))
            self._losses = []
            self._report(last=last)
        if self._bar is not None:
            self._bar.update()

    def _report(self, *, last: bool) -> None:
        point = self.history[-1]
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{point.loss:.3f}")
            if last:
                self._bar.close()
        elif last or time.monotonic() - self._logged > _LOG_INTERVAL_S:
            self._logged = time.monotonic()
            self._log(f"step {point.step} of {self._steps}: loss {point.loss:.3f}")
