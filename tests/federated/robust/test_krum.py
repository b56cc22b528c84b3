"""Krum and multi-Krum against a brute force over subsets, and under arbitrary outliers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.errors import ConfigError
from ecg_flare.federated.robust import Krum, MultiKrum
from ecg_flare.federated.robust import rule as rule_module


def brute_scores(updates: np.ndarray, f: int) -> list[float]:
    """Of each update the smallest sum of squared distances to any n - f - 2 of the others."""
    rows = updates.astype(np.float64).tolist()

    def squared(a: list[float], b: list[float]) -> float:
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    return [
        min(
            sum(squared(row, other) for other in subset)
            for subset in itertools.combinations(rows[:index] + rows[index + 1 :], len(rows) - f - 2)
        )
        for index, row in enumerate(rows)
    ]


def draw(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@pytest.mark.parametrize(("n", "f"), [(5, 1), (6, 1), (7, 2), (9, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_krum_and_multi_krum_choose_the_smallest_scores(n: int, f: int, seed: int) -> None:
    updates = draw(n, 4, seed)
    best = np.argsort(brute_scores(updates, f))
    assert Krum(f).combine(updates, np.ones(n)).tolist() == updates[best[0]].tolist()
    for selected in range(1, n - f - 1):
        mean = updates[best[:selected]].astype(np.float64).mean(axis=0)
        assert MultiKrum(f, selected).combine(updates, np.ones(n)) == pytest.approx(mean, rel=1e-13)
    assert MultiKrum(f).combine(updates, np.ones(n)) == pytest.approx(updates[best[: n - f - 2]].mean(0), rel=1e-6)


def test_krum_by_hand() -> None:
    # n = 5, f = 1: two neighbours. Scores 0+1+4=5, 1+1=2, 1+4=5, 9+16=25 and 98^2 and more.
    updates = np.array([[0], [1], [2], [5], [100]], np.float32)
    assert Krum(1).combine(updates, np.ones(5)).tolist() == [1]
    assert MultiKrum(1, 2).combine(updates, np.ones(5)).tolist() == [0.5]  # 0 and 2 score alike: the first row


def test_weights_are_ignored() -> None:
    updates = draw(7, 5, seed=0)
    heavy = np.array([1, 1, 1, 1, 1, 1, 1e6])
    for rule in (Krum(2), MultiKrum(2)):
        assert rule.combine(updates, heavy).tolist() == rule.combine(updates, np.ones(7)).tolist()


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_says_nothing_and_a_shift_shifts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    updates = (rng.integers(-(2**18), 2**18, (7, 3)) / 2**10).astype(np.float32)
    order = rng.permutation(7)
    for rule in (Krum(2), MultiKrum(2)):
        found = rule.combine(updates, np.ones(7))
        assert rule.combine(updates[order], np.ones(7)) == pytest.approx(found, rel=1e-13)
        assert rule.combine(updates + np.float32(64), np.ones(7)) == pytest.approx(found + 64, rel=1e-13)


@given(
    seed=st.integers(0, 2**32 - 1),
    outliers=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=6, max_size=6),
)
def test_what_krum_chooses_is_near_the_honest_updates(seed: int, outliers: list[float]) -> None:
    # An honest update scores at most (n - f - 2) D^2, D the honest diameter. Of the n - f - 2 = f + 1 neighbours of
    # what is chosen one at least is honest, so that it lies within sqrt(f + 1) D of an honest update.
    honest = draw(5, 3, seed)
    found = Krum(2).combine(np.concatenate((np.array(outliers, np.float32).reshape(2, 3), honest)), np.ones(7))
    diameter = max(np.linalg.norm(a - b) for a in honest for b in honest)
    assert min(np.linalg.norm(honest - found, axis=1)) <= np.sqrt(3) * diameter * (1 + 1e-6)


def test_distant_outliers_are_never_chosen() -> None:
    updates = np.concatenate((np.full((2, 3), 1e30, np.float32), draw(5, 3, seed=1)))
    assert Krum(2).combine(updates, np.ones(7)).tolist() in updates[2:].tolist()
    assert np.abs(MultiKrum(2).combine(updates, np.ones(7))).max() < 5


def test_near_updates_a_long_way_from_zero_are_told_apart() -> None:
    updates = np.float32(2**20) + np.array([[0], [1], [2], [5], [100]], np.float32)
    assert Krum(1).combine(updates, np.ones(5)).tolist() == [2**20 + 1]


def test_chunks_of_columns_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = draw(7, 23, seed=1)
    whole = MultiKrum(2).combine(updates, np.ones(7))
    monkeypatch.setattr(rule_module, "_CHUNK_VALUES", 7 * 5)
    assert MultiKrum(2).combine(updates, np.ones(7)).tolist() == whole.tolist()


def test_too_few_sites_and_impossible_settings_are_refused() -> None:
    for rule in (Krum(2), MultiKrum(2)):
        rule.check(7)
        with pytest.raises(
            ConfigError, match=r"has the updates of 6 sites, expected at least 2 max_byzantine \+ 3 = 7"
        ):
            rule.check(6)
        with pytest.raises(ConfigError, match="expected at least"):
            rule.combine(np.zeros((6, 1), np.float32), np.ones(6))
    with pytest.raises(ConfigError, match="selected is 4, expected at most n - max_byzantine - 2 = 3"):
        MultiKrum(2, selected=4).check(7)
    with pytest.raises(ConfigError, match="Krum's max_byzantine is 0"):
        Krum(0)
    with pytest.raises(ConfigError, match="MultiKrum's selected is 0"):
        MultiKrum(1, selected=0)
