"""The torch module of a task, held to what sites can train together."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import PlanMismatchError
from ecg_flare.federated.update import ParameterLayout
from ecg_flare.nnunet.plan import flatten, network_layout
from ecg_flare.task.modules.module_check import check_module

if TYPE_CHECKING:
    from torch import nn

    from ecg_flare.task.modules.plan import ModulePlan


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
