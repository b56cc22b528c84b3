"""What every round of local training does, whatever network it trains: seeds, momentum, FedProx's pull, tensors.

FedProx: Li et al. 2020, "Federated Optimization in Heterogeneous Networks", equation 2: the local objective gains
mu/2 * |w - w_global|^2, the gradient mu * (w - w_global).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import UpdateError
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.plan import flatten, network_layout, vector_slices

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ecg_flare.nnunet.trainer import TrainOptions


@contextmanager
def seeded(seed: int, first_step: int) -> Iterator[None]:
    """Seed the global generators of numpy and torch, and put them back afterwards."""
    import torch

    numpy_seed, torch_seed = np.random.SeedSequence([seed, first_step]).generate_state(2)
    before = np.random.get_state()  # noqa: NPY002 - batchgenerators draws from numpy's global generator
    with torch.random.fork_rng():
        np.random.seed(numpy_seed)  # noqa: NPY002
        torch.manual_seed(int(torch_seed))
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


@contextmanager
def proximal_term(network: nn.Module, mu: float, scale: Callable[[], float] = lambda: 1.0) -> Iterator[None]:
    """Add mu * (w - anchor) to each gradient once it is complete, which is before its norm is clipped.

    The anchor is the network as it stands now; `scale` is what the loss is scaled by. Parameters without a gradient do
    not move, and need no term.
    """
    if mu == 0:
        yield
        return

    def add_pull(parameter: torch.Tensor, anchor: torch.Tensor) -> None:
        assert parameter.grad is not None
        parameter.grad.add_(parameter.detach() - anchor, alpha=mu * scale())

    hooks = [
        parameter.register_post_accumulate_grad_hook(functools.partial(add_pull, anchor=parameter.detach().clone()))
        for parameter in network.parameters()
        if parameter.requires_grad
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def start_momentum(optimizer: torch.optim.Optimizer, network: nn.Module, momentum: Float32[np.ndarray, " d"]) -> None:
    """Let an SGD without state start with this momentum, a value for each parameter of the network.

    Frozen parameters get none. Raises UpdateError for another length.
    """
    import torch

    for parameter, values in vector_slices(network, momentum):
        if parameter.requires_grad:
            optimizer.state[parameter]["momentum_buffer"] = torch.from_numpy(values).to(parameter.device)


def momentum_of(optimizer: torch.optim.Optimizer, network: nn.Module) -> Float32[np.ndarray, " d"]:
    """SGD's momentum, a value for each parameter of the network; zeros where it has none."""
    state = optimizer.state
    buffers = [(parameter, state.get(parameter, {}).get("momentum_buffer")) for parameter in network.parameters()]
    return np.concatenate(
        [
            np.zeros(parameter.numel(), np.float32) if buffer is None else buffer.detach().cpu().numpy().ravel()
            for parameter, buffer in buffers
        ]
    )


def thaw(network: nn.Module, patterns: Sequence[str]) -> None:
    """Train the tensors whose names match, and leave the others: a tensor without a gradient is not moved.

    Raises ConfigError for a pattern of no tensor.
    """
    names = TrainableSubset.matching(network_layout(network), patterns).names
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in names)


def update_of(network: nn.Module, model: Float32[np.ndarray, " d"], options: TrainOptions) -> Float32[np.ndarray, " d"]:
    """What a round changed, local minus global model; raises UpdateError where it is not finite."""
    update: Float32[np.ndarray, " d"] = flatten(network) - np.asarray(model, np.float32)
    if not np.isfinite(update).all():
        raise UpdateError(
            f"local training diverged: {np.count_nonzero(~np.isfinite(update))} of {update.size} parameters are "
            f"not finite after {options.steps} steps at learning rate {options.learning_rate}; lower it"
        )
    return update
