"""Median and trimmed mean: against sorting by hand, with repeated rows for weights, and under arbitrary outliers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated.robust import Median, RobustRule, TrimmedMean
from ecg_flare.federated.robust import rule as rule_module

RULES = [Median(), TrimmedMean(1), TrimmedMean(2)]


def draw(n: int, d: int, seed: int) -> np.ndarray:
    """Whole numbers, some of them equal, so that sums and shifts are exact in float32."""
    return np.random.default_rng(seed).integers(-9, 10, (n, d)).astype(np.float32)


def ones(n: int) -> np.ndarray:
    return np.ones(n)


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_the_median_of_equal_weights_is_the_middle_of_the_sorted_values(n: int) -> None:
    updates = draw(n, 50, seed=n)
    for column, found in zip(updates.T.tolist(), Median().combine(updates, ones(n)), strict=True):
        middle = sorted(column)[(n - 1) // 2 : n // 2 + 1]
        assert found == sum(middle) / len(middle)


@given(weights=st.lists(st.integers(1, 4), min_size=3, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_a_whole_weight_in_the_median_is_a_row_repeated(weights: list[int], seed: int) -> None:
    updates = draw(len(weights), 20, seed)
    repeated = np.median(np.repeat(updates, weights, axis=0).astype(np.float64), axis=0)
    # Tenths are not exact in binary, and must give the same halves.
    for unit in (1.0, 0.1):
        assert Median().combine(updates, unit * np.array(weights)).tolist() == repeated.tolist()


def test_a_weighted_median_by_hand() -> None:
    updates = np.array([[1, 5], [2, 5], [10, -1]], np.float32)
    assert Median().combine(updates, np.array([0.2, 0.2, 0.6])).tolist() == [10, -1]
    assert Median().combine(updates, np.array([0.3, 0.2, 0.5])).tolist() == [6, 2]
    assert Median().combine(updates, np.array([0.3, 0.3, 0.4])).tolist() == [2, 5]


@given(weights=st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0]), min_size=5, max_size=7), seed=st.integers(0, 2**32 - 1))
def test_the_trimmed_mean_is_the_weighted_mean_of_what_sorting_leaves(weights: list[float], seed: int) -> None:
    updates = draw(len(weights), 20, seed)
    for column, found in zip(updates.T.tolist(), TrimmedMean(2).combine(updates, np.array(weights)), strict=True):
        left = sorted(zip(column, weights, strict=True))[2:-2]
        assert found == pytest.approx(sum(x * w for x, w in left) / sum(w for _, w in left), rel=1e-14, abs=1e-14)


def test_a_trimmed_mean_by_hand() -> None:
    updates = np.array([[1], [2], [6], [100]], np.float32)
    assert TrimmedMean(1).combine(updates, ones(4)).tolist() == [4]
    assert TrimmedMean(1).combine(updates, np.array([1.0, 3.0, 1.0, 9.0])).tolist() == [3]


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 2**32 - 1), shift=st.integers(-1000, 1000))
def test_the_order_of_rows_says_nothing_and_a_shift_shifts(rule: RobustRule, seed: int, shift: int) -> None:
    rng = np.random.default_rng(seed)
    updates, weights = draw(6, 10, seed), rng.integers(1, 4, 6) / 4
    order = rng.permutation(6)
    found = rule.combine(updates, weights)
    assert rule.combine(updates[order], weights[order]).tolist() == found.tolist()
    moved = rule.combine(updates + np.float32(shift), weights)
    assert moved == pytest.approx(found + shift, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("rule", "n", "f"), [(Median(), 5, 2), (Median(), 6, 2), (TrimmedMean(2), 5, 2)])
@given(
    seed=st.integers(0, 2**32 - 1),
    outliers=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
)
def test_a_minority_leaves_each_coordinate_within_the_honest_values(
    rule: RobustRule, n: int, f: int, seed: int, outliers: list[float]
) -> None:
    honest = np.random.default_rng(seed).standard_normal((n - f, 8)).astype(np.float32)
    poisoned = np.repeat(np.array(outliers, np.float32)[:, np.newaxis], 8, axis=1)
    found = rule.combine(np.concatenate((poisoned, honest)), ones(n))
    slack = 1e-12
    assert (honest.min(axis=0) - slack <= found).all()
    assert (found <= honest.max(axis=0) + slack).all()


def test_half_of_the_sites_are_too_many() -> None:
    updates = np.array([[0], [1], [1e30], [1e30]], np.float32)
    assert Median().combine(updates, ones(4))[0] > 1e29


@pytest.mark.parametrize("rule", RULES)
def test_chunks_of_columns_change_nothing(rule: RobustRule, monkeypatch: pytest.MonkeyPatch) -> None:
    updates, weights = draw(7, 23, seed=1), np.array([1, 2, 1, 1, 3, 1, 1]) / 3
    whole = rule.combine(updates, weights)
    monkeypatch.setattr(rule_module, "_CHUNK_VALUES", 7 * 5)
    assert rule.combine(updates, weights).tolist() == whole.tolist()


@pytest.mark.parametrize(
    ("updates", "weights", "message"),
    [
        (np.zeros((3, 2)), ones(3), r"float64 of shape \(3, 2\), expected float32"),
        (np.zeros(3, np.float32), ones(3), r"float32 of shape \(3,\)"),
        (np.zeros((3, 2), np.float32), ones(2), r"the weights have shape \(2,\), expected \(3,\)"),
        (np.zeros((3, 2), np.float32), np.array([1, 0, 1.0]), "the weight of row 1 is 0.0"),
        (np.zeros((3, 2), np.float32), np.array([1, 1, np.nan]), "the weight of row 2 is nan"),
        (np.array([[0, 0], [0, np.inf], [0, 0]], np.float32), ones(3), "row 1 holds values that are not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(updates: np.ndarray, weights: np.ndarray, message: str) -> None:
    for rule in (Median(), TrimmedMean(1)):
        with pytest.raises(UpdateError, match=message):
            rule.combine(updates, weights)


def test_too_few_sites_and_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="Median has the updates of 2 sites, expected at least 3"):
        Median().check(2)
    with pytest.raises(ConfigError, match="max_byzantine 2 has the updates of 4 sites, expected at least 5"):
        TrimmedMean(2).check(4)
    TrimmedMean(2).check(5)
    with pytest.raises(ConfigError, match="expected at least 5"):
        TrimmedMean(2).combine(np.zeros((4, 1), np.float32), ones(4))
    for value in (0, -1, 1.5, True):
        with pytest.raises(ConfigError, match=r"TrimmedMean's max_byzantine is .*, expected a whole number"):
            TrimmedMean(value)  # type: ignore[arg-type]
