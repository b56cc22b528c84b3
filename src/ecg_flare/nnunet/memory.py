"""How much memory training by a plan takes, estimated before anything is trained.

Each convolution keeps its output, and instance norm and nonlinearity as much again, for the way back; gradients come on
top. nnU-Net's own planner counts the same feature maps. Two steps of the plans tiny, small and small_3d took 4.4, 3.8
and 4.6 times the feature maps (one thread of 2 shared x86-64 cores, 2026-11-30).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.plan import Plan, network

_FLOAT_BYTES: Final = 4
_COPIES_OF_FEATURES: Final = 4.5
# Weights, gradients, momentum, the global model, the update and its message.
_COPIES_OF_WEIGHTS: Final = 6
_BASE_BYTES: Final = 700_000_000
_MEMINFO: Final = Path("/proc/meminfo")


@dataclass(frozen=True)
class MemoryNeed:
    """What training takes: the parameters of the network, and bytes all in all."""

    parameters: int
    total_bytes: int


def memory_need(plan: Plan) -> MemoryNeed:
    """An estimate for training by this plan on a CPU, libraries included; it allocates no network.

    Raises ConfigError where the plan's network cannot be built for its patch.
    """
    import torch

    try:
        with torch.device("meta"):
            module = network(plan)
        count: Any = module.compute_conv_feature_map_size
        features = int(count(plan.patch_size))
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError) as error:
        raise ConfigError(f"the network of plan {plan.name!r} cannot be built: {error}") from error
    parameters = sum(parameter.numel() for parameter in module.parameters())
    of_features = plan.configuration["batch_size"] * features * _COPIES_OF_FEATURES
    return MemoryNeed(parameters, int(_BASE_BYTES + _FLOAT_BYTES * (of_features + parameters * _COPIES_OF_WEIGHTS)))


def machine_memory() -> int | None:
    """Bytes of this machine's memory; None where the system does not say it."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")), None)
