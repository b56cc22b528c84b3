"""How a benchmark's model is trained: the method, the budget, and what it promises about patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.run_lines import Determined
from ecg_flare.federated.optimizers import FedAdam, FedAvg, ServerOptimizer
from ecg_flare.federated.subset import EVERY_TENSOR


@dataclass(frozen=True)
class Method:
    """How a model is trained.

    Attributes:
        name: for people.
        start: 'random', or 'public': trained on the public cases.
        optimizer: of the server, 'fedavg' or 'fedadam', with its rate and, for FedAdam, tau.
        proximal_mu: FedProx's pull towards the global model; 0 is none.
        clipping_norm: C, where updates are clipped.
        summation: of the sites' updates.
        by_patient: whether each patient's update is clipped by itself, and patients are drawn.
        epsilon: of the whole run, for each patient; None adds no noise that counts.
        trained: patterns of the trained tensors.
        site: who trains alone; '' where the sites train together.
        trains: whether anything is trained after the start.
    """

    name: str
    start: str = "random"
    optimizer: str = "fedavg"
    server_rate: float = 1.0
    server_tau: float = 1e-3
    proximal_mu: float = 0.0
    clipping_norm: float | None = None
    summation: str = "plain"
    by_patient: bool = False
    epsilon: float | None = None
    trained: tuple[str, ...] = EVERY_TENSOR
    site: str = ""
    trains: bool = True

    def server(self) -> ServerOptimizer:
        """The server's optimizer."""
        if self.optimizer == "fedadam":
            return FedAdam(self.server_rate, tau=self.server_tau)
        return FedAvg(self.server_rate)


@dataclass(frozen=True)
class Budget:
    """How long and at which rate is trained; `patient_steps` are those on each patient of a private round."""

    rounds: int
    steps: int
    learning_rate: float
    momentum: float = 0.9
    patient_steps: int = 2
    sampling_rate: float = 0.5
    delta: float = 1e-3
    public_steps: int = 300


@dataclass(frozen=True)
class Promise:
    """What a private run promises: sigma, the values that are trained, and sigma * sqrt(d) / (q * N)."""

    sigma: float = 0.0
    trained: int = 0
    noise_to_signal: float = 0.0

    def cells(self) -> tuple[str, str, str]:
        """Cells of a table: values that are trained, sigma, noise over signal; empty where there is none."""
        noise = (f"{self.sigma:.2f}", f"{self.noise_to_signal:.2f}") if self.sigma else ("", "")
        return (f"{self.trained:,}" if self.trained else "", *noise)


@dataclass(frozen=True)
class Order(Determined):
    """What determines a run; `plan` is the hash of its plan."""

    method: Method
    budget: Budget
    seed: int
    plan: str

    @classmethod
    def from_json(cls, order: Mapping[str, Any]) -> Order:
        """Read a kept order."""
        method = Method(**{**order["method"], "trained": tuple(order["method"]["trained"])})
        return cls(method, Budget(**order["budget"]), order["seed"], order["plan"])
