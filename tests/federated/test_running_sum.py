"""The running sum: weights, denominators, order, and what it refuses."""

import itertools

import numpy as np
import pytest

from ecg_flare.errors import UpdateError
from ecg_flare.federated.running_sum import RunningSum
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

WEIGHTS = {"a": 1.0, "b": 0.5, "c": 0.25}


def fixed(sigma: float = 0.0) -> FixedPoint:
    return FixedPoint.derive(clipping_norm=1.0, weights=tuple(WEIGHTS.values()), dimension=2, noise_multiplier=sigma)


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_weighted_mean_over_those_who_answered() -> None:
    total = RunningSum(2, WEIGHTS)
    total.add("c", vector(8, 0))
    total.add("a", vector(1, -3))
    assert total.sites == ("a", "c")
    assert total.total.tolist() == [3, -3]
    assert total.denominator == 1.25
    assert total.mean() == pytest.approx([2.4, -2.4])


def test_integers_carry_their_weights_already() -> None:
    encoding = fixed()
    total = RunningSum(2, WEIGHTS, encoding)
    for site in ("a", "b"):
        total.add(site, encoding.encode(vector(0.5, -0.25), WEIGHTS[site]))
    assert total.total.tolist() == [0.75 * 2**24, -0.375 * 2**24]
    assert total.mean().tolist() == [0.5, -0.25]


def test_with_noise_the_denominator_is_the_rosters() -> None:
    total = RunningSum(2, WEIGHTS, fixed(sigma=1.0))
    assert total.denominator == 1.75
    total.add("b", np.zeros(2, np.int64))
    assert total.denominator == 1.75


def test_a_public_denominator_and_a_noised_total_replace_the_own_ones() -> None:
    total = RunningSum(2, WEIGHTS, fixed(sigma=1.0))
    assert total.mean(np.array([2**24, 0]), denominator=4.0).tolist() == [0.25, 0.0]


def test_order_of_arrival_is_exact_for_integers_and_within_a_unit_for_floats() -> None:
    rng = np.random.default_rng(3)
    weights = {site: float(weight) for site, weight in zip("abcde", rng.uniform(0.1, 1, 5), strict=True)}
    updates = {site: rng.standard_normal(100).astype(np.float32) for site in weights}
    means = []
    for order in itertools.permutations(weights):
        total = RunningSum(100, weights)
        for site in order:
            total.add(site, updates[site])
        means.append(total.mean())
    scale = sum(np.abs(updates[site]) for site in updates)
    assert np.all(np.ptp(means, axis=0) <= 5 * 2.0**-52 * scale)


@pytest.mark.parametrize(
    ("site", "values", "message"),
    [
        ("z", vector(0, 0), "z is not on the roster"),
        ("a", vector(0, 0), "a is in the sum already"),
        ("b", vector(0, np.nan), "not finite"),
        ("b", vector(0, 0, 0), "shape"),
        ("b", np.zeros(2, np.int64), "int64, expected float32"),
    ],
)
def test_a_refused_update_leaves_the_sum_as_it_was(site: str, values: np.ndarray, message: str) -> None:
    total = RunningSum(2, WEIGHTS)
    total.add("a", vector(1, 2))
    with pytest.raises(UpdateError, match=message):
        total.add(site, values)
    assert (total.total.tolist(), total.sites) == ([1, 2], ("a",))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (vector(0, 0), "a sent float32"),
        (np.zeros(3, np.int64), "expected 2 integers"),
        (np.array([0, 2**24 + 1]), "a: a coordinate .* is 16777217, above the bound 16777216"),
        (np.array([-(2**31), 0], np.int32), "above the bound"),
    ],
)
def test_what_is_not_an_encoded_update_is_refused(values: np.ndarray, message: str) -> None:
    total = RunningSum(2, WEIGHTS, fixed())
    with pytest.raises(UpdateError, match=message):
        total.add("a", values)
    assert total.sites == ()


def test_an_empty_sum_has_no_mean() -> None:
    with pytest.raises(UpdateError, match="nobody is in the sum"):
        RunningSum(2, WEIGHTS).mean()
