"""The geometric median against scipy's minimum, known triangles, and arbitrary outliers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from ecg_flare.errors import ConfigError
from ecg_flare.federated.robust import GeometricMedian
from ecg_flare.federated.robust import rule as rule_module

EXACT = GeometricMedian(tolerance=1e-10, max_iterations=2000)


def objective(point: np.ndarray, updates: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ np.linalg.norm(updates.astype(np.float64) - point, axis=1))


def draw(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_minimum_that_scipy_finds(seed: int) -> None:
    updates, weights = draw(6, 4, seed), np.random.default_rng(seed).uniform(0.5, 2, 6)
    best = min(
        (
            minimize(
                objective, start, (updates, weights), method="Nelder-Mead", options={"fatol": 1e-13, "xatol": 1e-9}
            )
            for start in (updates.mean(axis=0), *updates)
        ),
        key=lambda result: result.fun,
    )
    found = EXACT.combine(updates, weights)
    assert objective(found, updates, weights) <= best.fun + 1e-9
    assert found == pytest.approx(best.x, abs=1e-4)


def test_the_default_settings_come_as_near_as_they_say() -> None:
    updates = draw(9, 50, seed=3)
    assert GeometricMedian().combine(updates, np.ones(9)) == pytest.approx(EXACT.combine(updates, np.ones(9)), abs=1e-4)


def test_an_equilateral_triangle_has_its_centre() -> None:
    corners = np.array([[math.cos(t), math.sin(t)] for t in (0, 2 * math.pi / 3, 4 * math.pi / 3)], np.float32)
    assert EXACT.combine(corners, np.ones(3)) == pytest.approx([0, 0], abs=1e-7)


def test_an_angle_above_120_degrees_has_its_corner() -> None:
    corners = np.array([[-10, 1], [0, 0], [10, 1]], np.float32)
    assert EXACT.combine(corners, np.ones(3)) == pytest.approx([0, 0], abs=1e-5)


@pytest.mark.parametrize("weights", [[2, 1, 1, 1], [1, 3, 2, 1]])
def test_a_whole_weight_is_a_row_repeated(weights: list[int]) -> None:
    updates = draw(4, 3, seed=5)
    repeated = np.repeat(updates, weights, axis=0)
    found = EXACT.combine(updates, np.array(weights) / 10)
    assert found == pytest.approx(EXACT.combine(repeated, np.ones(len(repeated))), abs=1e-8)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_says_nothing_and_a_shift_shifts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    updates = (rng.integers(-(2**12), 2**12, (5, 3)) / 2**10).astype(np.float32)
    weights = rng.uniform(0.5, 2, 5)
    order = rng.permutation(5)
    found = EXACT.combine(updates, weights)
    assert EXACT.combine(updates[order], weights[order]) == pytest.approx(found, abs=1e-6)
    assert EXACT.combine(updates + np.float32(64), weights) == pytest.approx(found + 64, abs=1e-6)


@given(
    seed=st.integers(0, 2**32 - 1),
    outliers=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=6, max_size=6),
)
def test_a_minority_leaves_it_near_the_honest_ball(seed: int, outliers: list[float]) -> None:
    honest = draw(5, 3, seed)
    found = GeometricMedian().combine(
        np.concatenate((np.array(outliers, np.float32).reshape(2, 3), honest)), np.ones(7)
    )
    centre = honest.mean(axis=0, dtype=np.float64)
    radius = np.linalg.norm(honest - centre, axis=1).max()
    share = 2 / 7
    assert np.linalg.norm(found - centre) <= 2 * (1 - share) / (1 - 2 * share) * radius * (1 + 1e-4)


def test_equal_updates_are_their_own_median() -> None:
    updates = np.repeat(draw(1, 4, seed=2), 5, axis=0)
    assert GeometricMedian().combine(updates, np.ones(5)).tolist() == updates[0].tolist()


def test_more_iterations_come_nearer() -> None:
    updates = draw(5, 3, seed=4)
    distances = [
        np.linalg.norm(
            GeometricMedian(tolerance=1e-12, max_iterations=steps).combine(updates, np.ones(5))
            - EXACT.combine(updates, np.ones(5))
        )
        for steps in (1, 4, 16)
    ]
    assert distances[0] > distances[1] > distances[2]


def test_chunks_of_columns_change_digits_only(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = draw(7, 23, seed=1)
    whole = EXACT.combine(updates, np.ones(7))
    monkeypatch.setattr(rule_module, "_CHUNK_VALUES", 7 * 5)
    assert EXACT.combine(updates, np.ones(7)) == pytest.approx(whole, rel=1e-9, abs=1e-9)


def test_too_few_sites_and_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="GeometricMedian has the updates of 2 sites, expected at least 3"):
        GeometricMedian().combine(np.zeros((2, 1), np.float32), np.ones(2))
    for name in ("smoothing", "tolerance"):
        for value in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(ConfigError, match=f"GeometricMedian's {name} is {value}, expected a positive number"):
                GeometricMedian(**{name: value})
    with pytest.raises(ConfigError, match="GeometricMedian's max_iterations is 0"):
        GeometricMedian(max_iterations=0)
