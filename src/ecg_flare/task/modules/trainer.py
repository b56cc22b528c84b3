"""A torch module trained one federated round at a time, by the SGD that nnU-Net uses.

Nesterov momentum that starts empty in each round, a gradient norm of at most 12, no weight decay. A round depends on
(model, cases, options) alone: on one CPU thread bit by bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float32, Integer

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated.update import ParameterLayout
from ecg_flare.nnunet.case_cache import CaseEntry
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.local_round import proximal_term, seeded, thaw, update_of
from ecg_flare.nnunet.plan import unflatten_into
from ecg_flare.nnunet.task import LabelCounts
from ecg_flare.nnunet.trainer import LocalUpdate, TrainOptions
from ecg_flare.task.modules.dataset import PreparedExamples
from ecg_flare.task.modules.network import network_of
from ecg_flare.task.modules.plan import ModulePlan

if TYPE_CHECKING:
    import torch

_MAX_GRADIENT: Final = 12.0
_EVALUATED_AT_ONCE: Final = 64


class ModuleTrainer:
    """The module of a plan, and a site's prepared examples; it meets `nnunet.learnt.SiteTrainer`.

    Raises ConfigError and PlanMismatchError as `network.network_of`, and ConfigError where the module or the loss
    cannot take arrays of the examples' shapes. That is tried on zeros: what a patient's own values bring about must not
    end a round of a job that hides patients.
    """

    def __init__(self, plan: ModulePlan, cases: PreparedExamples, *, threads: int = 1, device: str = "cpu") -> None:
        limit_threads(threads)
        self._plan = plan
        self._task = plan.built_task()
        self._cases = cases
        self._device = device
        self._module = network_of(plan).to(device)
        self._try_on_zeros()

    @property
    def layout(self) -> ParameterLayout:
        """Ordered (name, shape) of the module's parameters."""
        return self._plan.layout

    def train(
        self, model: Float32[np.ndarray, " d"], options: TrainOptions, *, cases: Sequence[str] | None = None
    ) -> LocalUpdate:
        """Train one round from the global model, on the named cases alone where `cases` names some.

        Raises UpdateError where the loss cannot be taken, it or the result is not finite, or a buffer of the module
        changed.
        """
        import torch

        started = time.monotonic()
        module = self._module
        unflatten_into(module, model)
        module.train()
        thaw(module, options.trained)
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(
            trained, lr=options.learning_rate, momentum=options.momentum, nesterov=options.momentum > 0
        )
        before = [buffer.clone() for buffer in module.buffers()]
        names = self._cases.names("train") if cases is None else list(cases)
        losses = []
        with seeded(options.seed, options.first_step), proximal_term(module, options.proximal_mu):
            batches = _batches(names, self._task.batch_size)
            for step in range(options.steps):
                optimizer.param_groups[0]["lr"] = options.learning_rate_at(step)
                optimizer.zero_grad(set_to_none=True)
                loss = self._loss(next(batches), f"step {step + 1} of {options.steps}")
                loss.backward()
                torch.nn.utils.clip_grad_norm_(trained, _MAX_GRADIENT)
                optimizer.step()
                losses.append(float(loss.detach()))
        if not all(map(torch.equal, before, module.buffers())):
            raise UpdateError("the module changed a buffer while it trained, which no sum holds: take one without")
        return LocalUpdate(update_of(module, model, options), float(np.mean(losses)), time.monotonic() - started)

    def validate(self, model: Float32[np.ndarray, " d"]) -> LabelCounts:
        """Count, by label, what the model finds in cases of the patients that it is not trained on."""
        total = sum((found for _, found in self.held_out(model)), self._nothing)
        tp, fp, fn = (tuple(row) for row in total.tolist())
        return LabelCounts(tp, fp, fn)

    def held_out(self, model: Float32[np.ndarray, " d"]) -> Iterator[tuple[CaseEntry, Integer[np.ndarray, "3 labels"]]]:
        """Each case of the patients that the model is not trained on, and its tp, fp and fn by label."""
        found = self.counted(model, self._cases.names("val"))
        yield from ((entry, found[entry.name]) for entry in self._cases.entries if entry.split == "val")

    def counted(
        self, model: Float32[np.ndarray, " d"], names: Sequence[str]
    ) -> dict[str, Integer[np.ndarray, "3 labels"]]:
        """True positives, false positives and false negatives by label in each of the cases.

        Raises ConfigError where the task's counts are none.
        """
        import torch

        unflatten_into(self._module, model)
        self._module.eval()
        counts = {}
        with torch.inference_mode():
            for start in range(0, len(names), _EVALUATED_AT_ONCE):
                some = names[start : start + _EVALUATED_AT_ONCE]
                inputs, targets = self._batch(some)
                outputs = self._module(inputs)
                for index, name in enumerate(some):
                    one = slice(index, index + 1)
                    counts[name] = self._checked(self._task.counts(outputs[one], targets[one]))
        return counts

    @property
    def _nothing(self) -> Integer[np.ndarray, "3 labels"]:
        return np.zeros((3, len(self._task.labels)), np.int64)

    def _checked(self, counts: Any) -> Integer[np.ndarray, "3 labels"]:
        found = np.asarray(counts)
        if found.shape != self._nothing.shape or found.dtype.kind not in "iu" or found.min() < 0:
            raise ConfigError(
                f"counts() of {self._plan.task!r} gives {found.dtype} of shape {found.shape}, expected whole numbers "
                f"of at least 0 in shape {self._nothing.shape}: tp, fp and fn by label"
            )
        return found.astype(np.int64)

    def _try_on_zeros(self) -> None:
        import torch

        first = [entry.name for entry in self._cases.entries[:1]]
        inputs, targets = (torch.zeros_like(one) for one in self._batch(first))
        try:
            self._number(inputs, targets)
        except UpdateError as error:
            raise ConfigError(str(error)) from error

    def _loss(self, names: Sequence[str], where: str) -> torch.Tensor:
        import torch

        loss = self._number(*self._batch(names))
        if not torch.isfinite(loss).all():
            raise UpdateError(f"the loss is {float(loss.detach())} at {where}: lower the learning rate")
        return loss

    def _number(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        import torch

        shapes = f"inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)}"
        try:
            loss = self._task.loss(self._module(inputs), targets)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise UpdateError(f"{self._plan.task!r} cannot learn from {shapes}: {error}") from error
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
            raise UpdateError(f"loss() of {self._plan.task!r} gives no number that training could lower, of {shapes}")
        return loss.reshape(())

    def _batch(self, names: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        inputs, targets = self._cases.inputs(names), self._cases.targets(names)
        return torch.from_numpy(inputs).to(self._device), torch.from_numpy(targets).to(self._device)


def _batches(names: Sequence[str], size: int) -> Iterator[list[str]]:
    """Batches without end: all cases once in an order drawn from numpy's global generator, then in another."""
    waiting: list[str] = []
    while True:
        while len(waiting) < min(size, len(names)):
            waiting += [names[place] for place in np.random.permutation(len(names))]  # noqa: NPY002 - `seeded` seeds it
        yield waiting[:size]
        del waiting[:size]
