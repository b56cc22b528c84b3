"""The torch module of a task, held to what sites can train together."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError, PlanMismatchError
from ecg_flare.federated.update import ParameterLayout
from ecg_flare.nnunet.plan import flatten, network_layout

if TYPE_CHECKING:
    from torch import nn

    from ecg_flare.task.modules.plan import ModulePlan

_INSTEAD = "take GroupNorm or LayerNorm, which keep no statistics"


def check_module(module: object, where: str) -> nn.Module:
    """The module, once all that it learns is in its parameters.

    Raises ConfigError for what is no module, has no parameters or others than float32, and for a batch norm or any
    other buffer that a checkpoint would hold: no sum, clip or noise would reach it.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    if not isinstance(module, torch.nn.Module):
        raise ConfigError(f"{where}: module() gives a {type(module).__name__}, expected a torch.nn.Module")
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm) and not isinstance(part, torch.nn.modules.instancenorm._InstanceNorm):
            raise ConfigError(
                f"{where}: {name!r} is a {type(part).__name__}, whose running statistics are a site's own and would "
                f"leave it unclipped and without noise: {_INSTEAD}"
            )
    parameters = dict(module.named_parameters())
    if not parameters:
        raise ConfigError(f"{where}: the module has no parameters, so there is nothing to learn")
    for name, parameter in parameters.items():
        if parameter.dtype != torch.float32:
            raise ConfigError(f"{where}: the parameter {name!r} is of {parameter.dtype}, expected torch.float32")
    known = {*parameters, *(name for name, _ in module.named_parameters(remove_duplicate=False))}
    if buffers := [name for name in module.state_dict() if name not in known]:
        raise ConfigError(
            f"{where}: the module keeps {buffers[0]!r} beside its parameters, which no sum would hold: {_INSTEAD}, or "
            "register a constant with persistent=False"
        )
    return module


def network_of(plan: ModulePlan) -> nn.Module:
    """The plan's untrained network, on the CPU, initialized from torch's global generator.

    Raises ConfigError as `check_module`, and PlanMismatchError where its parameters are not the plan's.
    """
    module = check_module(plan.built_task().module(), plan.task)
    layout = network_layout(module)
    if layout != tuple(plan.layout):
        raise PlanMismatchError(f"the module of {plan.task!r} is not the plan's: {_difference(layout, plan.layout)}")
    return module


def initial_model(plan: ModulePlan, seed: int) -> Float32[np.ndarray, " d"]:
    """The untrained network's parameters, in order, drawn from `seed`."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return flatten(network_of(plan))


def _difference(here: ParameterLayout, agreed: ParameterLayout) -> str:
    for index, (own, other) in enumerate(zip_longest(here, agreed)):
        if own != other:
            return (
                f"its parameter {index + 1} is {_named(own)} here, and {_named(other)} in the plan "
                f"({len(here)} and {len(agreed)} tensors): install the same version of it at every site"
            )
    return "nothing"


def _named(entry: tuple[str, tuple[int, ...]] | None) -> str:
    return "missing" if entry is None else f"{entry[0]} {list(entry[1])}"
