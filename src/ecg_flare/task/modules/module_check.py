"""What a torch module of somebody else must be, to be trained by sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ecg_flare.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

_INSTEAD: Final = "take GroupNorm or LayerNorm, which keep no statistics"


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
