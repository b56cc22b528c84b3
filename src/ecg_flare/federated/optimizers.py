"""Server optimizers: what the server does with the mean update of a round.

Reddi et al. 2021, "Adaptive Federated Optimization", algorithm 2 (arXiv 2003.00295). With the mean update D,
learning rate eta and adaptivity tau:

    m <- beta1 * m + (1 - beta1) * D
    v <- v + D^2                                     FedAdagrad
    v <- v - (1 - beta2) * D^2 * sign(v - D^2)       FedYogi
    v <- beta2 * v + (1 - beta2) * D^2               FedAdam
    x <- x + eta * m / (sqrt(v) + tau)

m starts at 0 and v at tau^2, and there is no bias correction (torch's Adam differs in all three). FedAvg
(McMahan et al. 2017) is x <- x + eta * D. FedProx (Li et al. 2020) changes the local loss, by mu/2 * ||w - x||^2, and
keeps FedAvg's step. FedAvgM (Hsu et al. 2019, arXiv 1909.06335) has Nesterov's momentum over rounds, which is the outer
optimizer of DiLoCo (Douillard et al. 2023, arXiv 2311.08105):

    m <- momentum * m + D
    x <- x + eta * (D + momentum * m)

An optimizer is a frozen description with pure `init` and `step`; its state is float64 and travels as named arrays.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float, Float64, Shaped

from ecg_flare.errors import ConfigError
from ecg_flare.extensions import Registry

Moment = Float64[np.ndarray, " d"]
Vector = Float[np.ndarray, " d"]
SavedArray = Shaped[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class ServerState:
    """What an optimizer remembers between rounds: how many steps it took, and its moments by name."""

    steps: int
    moments: Mapping[str, Moment]

    def to_arrays(self) -> dict[str, SavedArray]:
        """The state as named arrays, for saving beside the model."""
        return {"steps": np.array(self.steps, dtype=np.int64), **self.moments}


@dataclass(frozen=True)
class ServerOptimizer(ABC):
    """One rule that moves the global model by the mean update of a round."""

    learning_rate: float = 1.0

    moment_names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in _field_names(type(self)):
            value = getattr(self, name)
            decays = name.startswith(("beta", "momentum"))
            in_range = 0 <= value < 1 if decays else 0 < value < math.inf
            if not in_range:
                expected = "0 <= value < 1" if decays else "a positive number"
                raise ConfigError(f"{type(self).__name__}'s {name} is {value}, expected {expected}")

    @abstractmethod
    def init(self, dimension: int) -> ServerState:
        """State before the first round, for a model of `dimension` parameters."""

    @abstractmethod
    def step(self, state: ServerState, model: Vector, mean_update: Vector) -> tuple[ServerState, Vector]:
        """State and model after a round. Computes in float64; the model keeps its type."""

    def from_arrays(self, arrays: Mapping[str, SavedArray], dimension: int) -> ServerState:
        """The state that `to_arrays` gave.

        Raises ConfigError where the arrays belong to another optimizer or to a model of another size.
        """
        if set(arrays) != {"steps", *self.moment_names}:
            raise ConfigError(
                f"the saved state holds {sorted(arrays)}, but {type(self).__name__} needs "
                f"{sorted(['steps', *self.moment_names])}: start anew or name the optimizer that wrote it"
            )
        for name in self.moment_names:
            if arrays[name].shape != (dimension,) or not np.isfinite(arrays[name]).all():
                raise ConfigError(
                    f"the saved {name} has shape {arrays[name].shape}, expected ({dimension},) finite values"
                )
        moments = {name: np.asarray(arrays[name], dtype=np.float64) for name in self.moment_names}
        return ServerState(int(arrays["steps"]), moments)


@dataclass(frozen=True)
class FedAvg(ServerOptimizer):
    """x <- x + eta * D (McMahan et al. 2017); with eta = 1 the model becomes the weighted mean of the local ones."""

    def init(self, dimension: int) -> ServerState:
        return ServerState(0, {})

    def step(self, state: ServerState, model: Vector, mean_update: Vector) -> tuple[ServerState, Vector]:
        moved: Vector = model + self.learning_rate * mean_update.astype(np.float64)
        return ServerState(state.steps + 1, {}), moved.astype(model.dtype)


@dataclass(frozen=True)
class FedAvgM(ServerOptimizer):
    """Nesterov's momentum over the mean updates; with a momentum of 0 it is FedAvg."""

    learning_rate: float = 0.7
    momentum: float = 0.9

    moment_names: ClassVar[tuple[str, ...]] = ("m",)

    def init(self, dimension: int) -> ServerState:
        return ServerState(0, {"m": np.zeros(dimension)})

    def step(self, state: ServerState, model: Vector, mean_update: Vector) -> tuple[ServerState, Vector]:
        update = mean_update.astype(np.float64)
        m = self.momentum * state.moments["m"] + update
        moved: Vector = model + self.learning_rate * (update + self.momentum * m)
        return ServerState(state.steps + 1, {"m": m}), moved.astype(model.dtype)


@dataclass(frozen=True)
class Adaptive(ServerOptimizer):
    """The part that FedAdagrad, FedAdam and FedYogi share; they differ in the second moment."""

    learning_rate: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3

    moment_names: ClassVar[tuple[str, ...]] = ("m", "v")

    @abstractmethod
    def second_moment(self, v: Moment, squared: Moment) -> Moment:
        """The next v from the last one and D^2."""

    def init(self, dimension: int) -> ServerState:
        return ServerState(0, {"m": np.zeros(dimension), "v": np.full(dimension, self.tau**2)})

    def step(self, state: ServerState, model: Vector, mean_update: Vector) -> tuple[ServerState, Vector]:
        update = mean_update.astype(np.float64)
        m = self.beta1 * state.moments["m"] + (1 - self.beta1) * update
        v = self.second_moment(state.moments["v"], np.square(update))
        moved: Vector = model + self.learning_rate * m / (np.sqrt(v) + self.tau)
        return ServerState(state.steps + 1, {"m": m, "v": v}), moved.astype(model.dtype)


@dataclass(frozen=True)
class FedAdagrad(Adaptive):
    """v <- v + D^2."""

    def second_moment(self, v: Moment, squared: Moment) -> Moment:
        grown: Moment = v + squared
        return grown


@dataclass(frozen=True)
class FedAdam(Adaptive):
    """v <- beta2 * v + (1 - beta2) * D^2."""

    def second_moment(self, v: Moment, squared: Moment) -> Moment:
        averaged: Moment = self.beta2 * v + (1 - self.beta2) * squared
        return averaged


@dataclass(frozen=True)
class FedYogi(Adaptive):
    """v <- v - (1 - beta2) * D^2 * sign(v - D^2)."""

    def second_moment(self, v: Moment, squared: Moment) -> Moment:
        moved: Moment = v - (1 - self.beta2) * squared * np.sign(v - squared)
        return moved


OPTIMIZERS: Final = Registry[type[ServerOptimizer]](
    "server optimizer",
    {
        "fedavg": FedAvg,
        "fedprox": FedAvg,  # its proximal term is local
        "fedavgm": FedAvgM,
        "fedadagrad": FedAdagrad,
        "fedadam": FedAdam,
        "fedyogi": FedYogi,
    },
)
"""Server optimizers by name, and then those of extensions."""


def register_optimizer(name: str, optimizer: type[ServerOptimizer]) -> None:
    """Let `optimizer_by_name` know an optimizer of an extension; raises ConfigError for a name that is taken."""
    if not (isinstance(optimizer, type) and issubclass(optimizer, ServerOptimizer)):
        raise ConfigError(f"{optimizer!r} is no server optimizer, expected a class that extends ServerOptimizer")
    OPTIMIZERS.add(name, optimizer)


def optimizer_by_name(name: str, **settings: float) -> ServerOptimizer:
    """The optimizer of that name, with its settings.

    Settings are the learning_rate, momentum of FedAvgM, and beta1, beta2, tau where it is adaptive.

    Raises ConfigError for an unknown name, an unknown setting or a setting out of its range.
    """
    if name not in OPTIMIZERS:
        raise ConfigError(f"unknown aggregator {name!r}, expected one of {', '.join(sorted(OPTIMIZERS))}")
    known = set(_field_names(OPTIMIZERS[name]))
    if unknown := sorted(set(settings) - known):
        raise ConfigError(f"{name} has no setting {', '.join(unknown)}, expected some of {', '.join(sorted(known))}")
    return OPTIMIZERS[name](**settings)


def _field_names(optimizer: type[ServerOptimizer]) -> list[str]:
    return [field.name for field in fields(optimizer)]
