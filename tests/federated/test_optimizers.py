"""Server optimizers against hand-computed and published values."""

import math

import numpy as np
import pytest
import torch

from ecg_flare.errors import ConfigError
from ecg_flare.federated.optimizers import (
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedYogi,
    ServerOptimizer,
    optimizer_by_name,
)

UPDATES = (0.5, -0.25, 0.125, 1.0)

# Computed apart from this code, in scalar arithmetic after the paper: x0 = 1, eta = 0.1, tau = 1e-3.
GOLDEN = {
    FedAdam: (1.0980201901, 1.1333019937, 1.1860703181, 1.2960690654),
    FedYogi: (1.0980199980, 1.1331628095, 1.1854865639, 1.2951222511),
    FedAdagrad: (1.0099800200, 1.0135513345, 1.0188665639, 1.0299160866),
}


@pytest.mark.parametrize("optimizer", GOLDEN)
def test_golden_values(optimizer: type[ServerOptimizer]) -> None:
    server = optimizer(learning_rate=0.1)
    state, model = server.init(1), np.array([1.0])
    for update, expected in zip(UPDATES, GOLDEN[optimizer], strict=True):
        state, model = server.step(state, model, np.array([update]))
        assert model[0] == pytest.approx(expected, abs=1e-10)
    assert state.steps == 4


def test_first_adam_step_by_hand() -> None:
    # m = 0.1 * 3, v = 0.99 * tau^2 + 0.01 * 9
    state, model = FedAdam(learning_rate=2.0, tau=0.5).step(FedAdam(tau=0.5).init(1), np.array([10.0]), np.array([3.0]))
    v = 0.99 * 0.25 + 0.01 * 9
    assert state.moments["m"] == pytest.approx(0.3)
    assert state.moments["v"] == pytest.approx(v)
    assert model[0] == pytest.approx(10 + 2 * 0.3 / (math.sqrt(v) + 0.5), abs=1e-14)


def test_fedavg_adds_the_scaled_mean() -> None:
    server = FedAvg(learning_rate=0.5)
    state, model = server.step(server.init(2), np.array([1.0, 2.0], np.float32), np.array([2.0, -2.0]))
    assert model.tolist() == [2.0, 1.0]
    assert state.steps == 1


def test_fedavgm_by_hand_and_by_torch() -> None:
    """Two steps by hand, and ten as torch's SGD with Nesterov's momentum takes them on the gradient -D."""
    server = FedAvgM(learning_rate=0.5, momentum=0.9)
    state, model = server.step(server.init(1), np.array([1.0]), np.array([2.0]))
    assert model[0] == pytest.approx(1 + 0.5 * (2 + 0.9 * 2))
    state, model = server.step(state, model, np.array([-1.0]))
    assert state.moments["m"][0] == pytest.approx(0.9 * 2 - 1)
    assert model[0] == pytest.approx(2.9 + 0.5 * (-1 + 0.9 * 0.8))

    weight = torch.nn.Parameter(torch.zeros(7, dtype=torch.float64))
    sgd = torch.optim.SGD([weight], lr=0.7, momentum=0.9, nesterov=True)
    server, rng = FedAvgM(), np.random.default_rng(3)
    state, model = server.init(7), np.zeros(7)
    for _ in range(10):
        update = rng.standard_normal(7)
        state, model = server.step(state, model, update)
        weight.grad = -torch.from_numpy(update)
        sgd.step()
    np.testing.assert_allclose(model, weight.detach().numpy(), rtol=1e-12)


def test_fedavgm_without_momentum_is_fedavg() -> None:
    update, start = np.array([0.3, -2.0]), np.zeros(2)
    server = FedAvgM(learning_rate=0.5, momentum=0.0)
    np.testing.assert_array_equal(
        server.step(server.init(2), start, update)[1], FedAvg(0.5).step(FedAvg().init(2), start, update)[1]
    )


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "fedadagrad"])
def test_step_is_pure_and_keeps_the_model_type(name: str) -> None:
    server = optimizer_by_name(name, learning_rate=0.1)
    state, model, update = server.init(3), np.ones(3, np.float32), np.full(3, 0.25, np.float32)
    first = server.step(state, model, update)
    again = server.step(state, model, update)
    assert first[1].dtype == np.float32
    assert np.array_equal(first[1], again[1])
    assert model.tolist() == [1, 1, 1]
    assert update.tolist() == [0.25, 0.25, 0.25]


@pytest.mark.parametrize("name", ["fedavg", "fedavgm", "fedadam"])
def test_saved_state_goes_on_as_if_never_stopped(name: str) -> None:
    server = optimizer_by_name(name, learning_rate=0.1)
    model = np.zeros(5, np.float32)
    state, model = server.step(server.init(5), model, np.arange(5.0))
    restored = server.from_arrays(state.to_arrays(), 5)
    assert restored.steps == 1
    assert np.array_equal(server.step(state, model, np.ones(5))[1], server.step(restored, model, np.ones(5))[1])


def test_a_foreign_state_is_refused() -> None:
    saved = FedAdam().init(3).to_arrays()
    with pytest.raises(ConfigError, match=r"holds \['m', 'steps', 'v'\], but FedAvg needs \['steps'\]"):
        FedAvg().from_arrays(saved, 3)
    with pytest.raises(ConfigError, match=r"shape \(3,\), expected \(4,\)"):
        FedYogi().from_arrays(saved, 4)
    with pytest.raises(ConfigError, match="saved m"):
        FedAdam().from_arrays(saved | {"m": np.array([0, math.nan, 0])}, 3)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("fedsgd", {}, "unknown aggregator 'fedsgd', expected one of fedadagrad, fedadam, fedavg, fedavgm, fedprox"),
        ("fedavg", {"beta1": 0.9}, "fedavg has no setting beta1, expected some of learning_rate"),
        ("fedadam", {"learning_rate": 0.0}, "learning_rate is 0.0, expected a positive number"),
        ("fedadam", {"learning_rate": math.nan}, "learning_rate is nan"),
        ("fedadam", {"beta1": 1.0}, "beta1 is 1.0, expected 0 <= value < 1"),
        ("fedyogi", {"beta2": -0.1}, "beta2 is -0.1"),
        ("fedavgm", {"momentum": 1.0}, "momentum is 1.0, expected 0 <= value < 1"),
        ("fedadagrad", {"tau": 0.0}, "tau is 0.0"),
    ],
)
def test_impossible_settings_are_named(name: str, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        optimizer_by_name(name, **settings)
