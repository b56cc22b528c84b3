"""Many patients' steps in one batch: is it exact, and is it faster than one patient after the other?

    python -m benchmarks.private_learning.batching [--patients N] [--size HEIGHT WIDTH]

The last stage of the decoder and the head are trained, for one step of each patient from the same model, on random
pixels; what lies before is computed beforehand and is not timed. `vmap` maps torch's gradient over the patients, opacus
takes per-sample gradients with hooks. CPU time of one thread.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import torch

from benchmarks.markdown import row
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import network, unflatten_into

_REPEATS = 3


class LastStage(torch.nn.Module):
    """What of the plan tiny's network is trained, without operations in place, which hooks and maps cannot follow."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.up = copy.deepcopy(decoder.transpconvs[-1])
        self.stage = copy.deepcopy(decoder.stages[-1])
        self.head = copy.deepcopy(decoder.seg_layers[-1])
        for module in self.modules():
            if hasattr(module, "inplace"):
                module.inplace = False  # type: ignore[assignment]

    def forward(self, low: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.stage(torch.cat((self.up(low), skip), 1)))
        return logits


@dataclass(frozen=True, eq=False)
class Batch:
    """What enters the last stage, and the truth by class, a patient each along the first axis."""

    low: torch.Tensor
    skip: torch.Tensor
    truth: torch.Tensor

    def double(self) -> Batch:
        return Batch(self.low.double(), self.skip.double(), self.truth.double())


Gradients = Callable[[LastStage, Batch], torch.Tensor]


def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """nnU-Net's Dice and cross-entropy of one patient, from classes that are spread out already."""
    probabilities, axes = torch.softmax(logits, 1), (0, 2, 3)
    overlap = (probabilities * truth)[:, 1:].sum(axes)
    dice = (2 * overlap + 1e-5) / (probabilities[:, 1:].sum(axes) + truth[:, 1:].sum(axes) + 1e-5)
    return -(torch.log_softmax(logits, 1) * truth).sum(1).mean() - dice.mean()


def one_by_one(stage: LastStage, batch: Batch) -> torch.Tensor:
    """Gradients, shape (patients, d)."""
    rows = []
    for one in (slice(patient, patient + 1) for patient in range(len(batch.low))):
        value = loss(stage(batch.low[one], batch.skip[one]), batch.truth[one])
        gradients = torch.autograd.grad(value, list(stage.parameters()))
        rows.append(torch.cat([gradient.ravel() for gradient in gradients]))
    return torch.stack(rows)


def by_vmap(stage: LastStage, batch: Batch) -> torch.Tensor:
    """The same by torch.func."""
    mapped = copy.deepcopy(stage)  # nnU-Net's blocks are registered twice, and a functional call parts their tensors
    tensors = {name: tensor.detach() for name, tensor in mapped.named_parameters()}

    def of_one(
        tensors: dict[str, torch.Tensor], low: torch.Tensor, skip: torch.Tensor, truth: torch.Tensor
    ) -> torch.Tensor:
        return loss(torch.func.functional_call(mapped, tensors, (low[None], skip[None])), truth[None])

    gradients = torch.func.vmap(torch.func.grad(of_one), (None, 0, 0, 0))(tensors, batch.low, batch.skip, batch.truth)
    return torch.cat([gradient.reshape(len(batch.low), -1) for gradient in gradients.values()], 1)


def by_opacus(stage: LastStage, batch: Batch) -> torch.Tensor:
    """The same by opacus' hooks."""
    from opacus.grad_sample import GradSampleModule

    hooked = GradSampleModule(copy.deepcopy(stage), strict=False, loss_reduction="sum")
    logits = hooked(batch.low, batch.skip)
    losses = [loss(one[None], truth[None]) for one, truth in zip(logits, batch.truth, strict=True)]
    torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
    return torch.cat([tensor.grad_sample.reshape(len(batch.low), -1) for tensor in hooked.parameters()], 1)


def timed(gradients: Gradients, stage: LastStage, batch: Batch) -> float:
    """CPU milliseconds a patient, after one run to warm up."""
    gradients(stage, batch)
    started = time.process_time()
    for _ in range(_REPEATS):
        gradients(stage, batch)
    return 1e3 * (time.process_time() - started) / _REPEATS / len(batch.low)


def error(gradients: Gradients, stage: LastStage, batch: Batch) -> float:
    """Largest relative difference of a patient's gradient from the one that was computed alone."""
    alone = one_by_one(stage, batch)
    return float(((gradients(stage, batch) - alone).norm(dim=1) / alone.norm(dim=1)).max())


def drawn(patients: int, size: tuple[int, int]) -> tuple[LastStage, Batch]:
    """The last stage of the public start, and random patients before it."""
    whole: Any = network(plan_preset("tiny"))
    unflatten_into(whole, load_bundled("start").vector)
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.random((patients, 3, *size), np.float32))
    with torch.no_grad():
        *skips, low = whole.encoder(pixels)
        for stage, skip in zip(range(len(whole.decoder.stages) - 1), skips[:0:-1], strict=True):
            low = whole.decoder.stages[stage](torch.cat((whole.decoder.transpconvs[stage](low), skip), 1))
    classes = whole.decoder.seg_layers[-1].out_channels
    truth = torch.eye(classes)[torch.from_numpy(rng.integers(0, classes, (patients, *size)))].movedim(-1, 1)
    return LastStage(whole.decoder), Batch(low, skips[0], truth)


@click.command(help=__doc__)
@click.option("--patients", default=8, show_default=True, help="Patients of a batch.")
@click.option("--size", nargs=2, default=(128, 256), show_default=True, help="Height and width in pixels.")
def main(patients: int, size: tuple[int, int]) -> None:
    limit_threads(1)
    warnings.simplefilter("ignore")
    stage, batch = drawn(patients, size)
    exact, alone = copy.deepcopy(stage).double(), timed(one_by_one, stage, batch)
    click.echo(row("", "ms a patient", "speed", "error in float32", "in float64"))
    click.echo(row(*["---"] * 5))
    click.echo(row("one by one", f"{alone:.1f}", "1", "", ""))
    for name, gradients in (("vmap", by_vmap), ("opacus", by_opacus)):
        spent = timed(gradients, stage, batch)
        errors = error(gradients, stage, batch), error(gradients, exact, batch.double())
        click.echo(row(name, f"{spent:.1f}", f"{alone / spent:.2f}", *(f"{one:.0e}" for one in errors)))


if __name__ == "__main__":
    main()
