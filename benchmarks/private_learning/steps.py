"""A patient's local training: k steps of SGD from the global model, on that patient's windows alone.

What comes before the first trained tensor makes the same of a window in every round: it is computed once and kept, and
a step runs the rest of the network only. Nothing is approximated: the frozen part is the same in every model of a run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from benchmarks.private_learning.patients import Patient
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.federated.update import ParameterLayout, Vector
from ecg_flare.nnunet.environment import nnunet_environment
from ecg_flare.nnunet.plan import Plan, network, unflatten_into

Part = Float32[np.ndarray, " trained"]


@dataclass(frozen=True)
class LocalSteps:
    """So many steps of plain SGD, each on `batch` of the patient's windows."""

    steps: int = 1
    learning_rate: float = 0.1
    batch: int = 1


class PatientTrainer:
    """Trains the tensors of a subset on one patient after the other, with nnU-Net's loss at full size."""

    def __init__(self, plan: Plan, start: Vector, subset: TrainableSubset) -> None:
        whole: Any = network(plan)
        unflatten_into(whole, start)
        self._network = whole
        self._subset = subset
        parameters = dict(self._network.named_parameters())
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in subset.names)
        self._trained = {name: parameters[name] for name in subset.names}
        self._loss = _loss()
        self._n_stages = len(self._network.decoder.stages)
        self._frozen_stages = _frozen_stages(subset.names, self._n_stages)
        self._frozen: dict[Patient, list[torch.Tensor]] = {}

    def update(self, part: Part, patient: Patient, local: LocalSteps, rng: np.random.Generator) -> Part:
        """Local minus global model over the trained coordinates."""
        self._load(part)
        tensors = list(self._trained.values())
        for _ in range(local.steps):
            chosen = rng.choice(len(patient.masks), min(local.batch, len(patient.masks)), replace=False)
            truth = torch.from_numpy(patient.masks[chosen]).long()[:, None]
            loss = self._loss(self._logits(patient, chosen), truth)
            # Tensors that the full-size head does not depend on have no gradient, and stay.
            gradients = torch.autograd.grad(loss, tensors, allow_unused=True)
            with torch.no_grad():
                for tensor, gradient in zip(tensors, gradients, strict=True):
                    if gradient is not None:
                        tensor.sub_(gradient, alpha=local.learning_rate)
        trained = np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])
        update: Part = trained - part
        return update

    def predict(self, part: Part, patient: Patient) -> UInt8[np.ndarray, "n h w"]:
        """The label of each pixel of all the patient's images."""
        self._load(part)
        with torch.inference_mode():
            labels = self._logits(patient, np.arange(len(patient.masks))).argmax(1).to(torch.uint8)
        return np.asarray(labels.numpy())

    def _load(self, part: Part) -> None:
        with torch.no_grad():
            for name, values in _cut(part, self._subset.trained_layout).items():
                self._trained[name].copy_(torch.from_numpy(values))

    def _logits(self, patient: Patient, chosen: Int64[np.ndarray, " batch"]) -> torch.Tensor:
        if self._frozen_stages is None:
            logits: torch.Tensor = self._network(_pixels(patient.images[chosen]))
            return logits
        low, *skips = (kept[torch.from_numpy(chosen)] for kept in self._kept(patient, self._frozen_stages))
        return self._decoded(low, skips, self._frozen_stages, self._n_stages, head=True)

    def _kept(self, patient: Patient, stages: int) -> list[torch.Tensor]:
        """What enters the first decoder stage with a trained tensor: from below, then the skips still to come."""
        if patient not in self._frozen:
            with torch.no_grad():
                *skips, low = self._network.encoder(_pixels(patient.images))
                skips = skips[::-1]
                self._frozen[patient] = [self._decoded(low, skips[:stages], 0, stages, head=False), *skips[stages:]]
        return self._frozen[patient]

    def _decoded(
        self, low: torch.Tensor, skips: list[torch.Tensor], first: int, last: int, *, head: bool
    ) -> torch.Tensor:
        decoder = self._network.decoder
        for stage, skip in zip(range(first, last), skips, strict=True):
            low = decoder.stages[stage](torch.cat((decoder.transpconvs[stage](low), skip), 1))
        return decoder.seg_layers[-1](low) if head else low


def _frozen_stages(names: tuple[str, ...], n_stages: int) -> int | None:
    """How many of the decoder's stages come before the first trained tensor; None where the encoder is trained."""
    if any(name.startswith("encoder.") for name in names):
        return None
    for stage in range(n_stages):
        if any(name.startswith((f"decoder.stages.{stage}.", f"decoder.transpconvs.{stage}.")) for name in names):
            return stage
    return n_stages


def _pixels(images: UInt8[np.ndarray, "n 3 h w"]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).float().div_(255)


def _loss() -> Any:
    with nnunet_environment():
        from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
        from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    return DC_and_CE_loss(
        dice, {}, weight_ce=1, weight_dice=1, ignore_label=None, dice_class=MemoryEfficientSoftDiceLoss
    )


def _cut(vector: Vector, entries: ParameterLayout) -> dict[str, Float32[np.ndarray, ...]]:
    """Cut a flat vector into named tensors, which are views of it."""
    ends = np.cumsum([math.prod(shape) for _, shape in entries])[:-1]
    parts = np.split(vector, ends)
    return {name: part.reshape(shape) for (name, shape), part in zip(entries, parts, strict=True)}
