"""Single updates: what the rule is given, the order of arrival, and what is refused."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated.accumulator import Accumulator
from ecg_flare.federated.robust import ROBUST_RULES, Krum, Median, RobustRule
from ecg_flare.federated.running_sum import RunningSum
from ecg_flare.federated.single_updates import SingleUpdates

WEIGHTS = {"b": 0.5, "a": 1.0, "c": 0.25}


@dataclass(frozen=True)
class Recorded:
    """A rule of another package: it gives back the first row, and shows what it was given."""

    given: list[tuple[list[list[float]], list[float]]]

    def check(self, n: int) -> None:
        if n < 2:
            raise ConfigError(f"{n} sites, expected 2")

    def combine(self, updates: np.ndarray, weights: np.ndarray) -> np.ndarray:
        self.given.append((updates.tolist(), weights.tolist()))
        return updates[0].astype(np.float64)


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_rule_sees_updates_and_weights_in_the_order_of_the_sites() -> None:
    rule = Recorded([])
    updates = SingleUpdates(2, WEIGHTS, rule)
    sent = {"c": vector(5, 6), "a": vector(1, 2), "b": vector(3, 4)}
    for site, update in sent.items():
        updates.add(site, update)
    sent["a"][:] = 99  # a copy was kept
    assert updates.sites == ("a", "b", "c")
    assert updates.mean().tolist() == [1, 2]
    assert rule.given == [([[1, 2], [3, 4], [5, 6]], [1.0, 0.5, 0.25])]


def test_those_who_did_not_answer_are_not_shown() -> None:
    rule = Recorded([])
    updates = SingleUpdates(1, WEIGHTS, rule)
    updates.add("c", vector(7))
    with pytest.raises(UpdateError, match=r"\['c'\] have no mean: 1 sites, expected 2"):
        updates.mean()
    updates.add("b", vector(3))
    updates.mean()
    assert rule.given == [([[3], [7]], [0.5, 0.25])]


@pytest.mark.parametrize("name", ROBUST_RULES)
def test_the_order_of_arrival_changes_no_bit(name: str) -> None:
    rng = np.random.default_rng(4)
    sent = {site: rng.standard_normal(20).astype(np.float32) for site in "abcde"}
    weights = dict(zip("abcde", rng.uniform(0.5, 2, 5).tolist(), strict=True))
    means = []
    for order in itertools.islice(itertools.permutations(sent), 0, 120, 17):
        updates = SingleUpdates(20, weights, ROBUST_RULES[name]())
        for site in order:
            updates.add(site, sent[site])
        means.append(updates.mean().tolist())
    assert all(mean == means[0] for mean in means)


@pytest.mark.parametrize(
    ("site", "values", "message"),
    [
        ("z", vector(0, 0), "z is not on the roster"),
        ("a", vector(0, 0), "the update of a is in already"),
        ("b", vector(0, np.nan), "not finite"),
        ("b", vector(0, 0, 0), "shape"),
        ("b", np.zeros(2), "float64, expected float32"),
        ("b", vector(3, 4.001), "the update of b has the norm 5.00.*, expected at most 5"),
    ],
)
def test_a_refused_update_leaves_all_as_it_was(site: str, values: np.ndarray, message: str) -> None:
    rule = Recorded([])
    updates = SingleUpdates(2, WEIGHTS, rule, clipping_norm=5.0)
    updates.add("a", vector(1, 2))
    with pytest.raises(UpdateError, match=message):
        updates.add(site, values)
    assert updates.sites == ("a",)
    updates.add("b", vector(3, 4))
    updates.mean()
    assert rule.given == [([[1, 2], [3, 4]], [1.0, 0.5])]


def test_a_rule_that_cannot_work_with_the_roster_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="Krum with max_byzantine 1 has the updates of 3 sites, expected at least"):
        SingleUpdates(2, WEIGHTS, Krum(1))


def test_sum_and_single_updates_stand_in_for_each_other() -> None:
    accumulators: list[Accumulator] = [RunningSum(1, WEIGHTS), SingleUpdates(1, WEIGHTS, Median())]
    for accumulator in accumulators:
        for site, value in (("a", 0), ("b", 3), ("c", 6)):
            accumulator.add(site, vector(value))
        assert accumulator.sites == ("a", "b", "c")
    assert accumulators[0].mean() == pytest.approx([3 / 1.75])
    assert accumulators[1].mean().tolist() == [0]


def test_every_rule_of_the_list_is_a_rule() -> None:
    assert all(isinstance(rule(), RobustRule) for rule in ROBUST_RULES.values())
    assert isinstance(Recorded([]), RobustRule)
