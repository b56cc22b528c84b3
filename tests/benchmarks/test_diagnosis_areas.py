"""Areas under the curve are those of a count over pairs, and the tables of the diagnosis say what was measured."""

import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.diagnosis.measure import auc, aucs, interval
from benchmarks.diagnosis.runs import BUDGET, METHODS
from benchmarks.diagnosis.table import Run, auc_table
from benchmarks.learning.methods import Order, Promise


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_an_area_is_the_share_of_pairs_in_order(cases: list[tuple[int, bool]]) -> None:
    scores, there = np.array([score for score, _ in cases], float), np.array([found for _, found in cases])
    pairs = list(product(scores[there], scores[~there]))
    value = auc(scores, there)
    if not pairs:
        assert np.isnan(value)
        return
    assert value == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))


def test_the_interval_of_a_sure_difference_lies_above_zero() -> None:
    targets = np.tile(np.array([[1.0], [0.0]]), (30, 1))
    right = targets.copy()
    wrong = np.random.default_rng(0).permutation(targets)
    patients = [f"p{index // 2}" for index in range(60)]
    low, high = interval((right, wrong), targets, patients, draws=200)
    assert 0 < low < np.mean(aucs(right, targets)) - np.mean(aucs(wrong, targets)) < high
    assert interval((right, right), targets, patients, draws=20) == (0.0, 0.0)


def test_a_kept_run_is_the_run_and_the_table_has_its_mean() -> None:
    runs = [
        Run(
            Order(METHODS["private-head-eps8"], BUDGET, seed, "0" * 64),
            (0.5, 0.6, 0.7, 0.8, value),
            Promise(0.61, 725, 0.13),
            2.0,
        )
        for seed, value in ((0, 0.9), (1, 0.8))
    ]

    assert [Run.from_json(asdict(run)) for run in runs] == runs
    assert len({run.key for run in runs}) == 2
    [head, rule, line] = auc_table(runs).splitlines()
    assert line == (
        "| private-head-eps8 | 0.500 | 0.600 | 0.700 | 0.800 | 0.850 | 0.690 ± 0.014 | 2 | 725 | 0.61 | 0.13 |"
    )
    assert head.count("|") == rule.count("|") == line.count("|")
