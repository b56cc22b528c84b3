"""The fixed point of secure aggregation: scale, sensitivity, no wrap, and the error of a coordinate."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg_flare.errors import ConfigError, EncodingError
from ecg_flare.privacy.secure_sum.chunks import squared_norm
from ecg_flare.privacy.secure_sum.encoding import NOISE_TAIL, FixedPoint

positive = st.floats(1e-3, 1e3)


def fixed_point(**changes: object) -> FixedPoint:
    bounds: dict[str, object] = {"clipping_norm": 1.0, "weights": (1.0, 1.0, 1.0), "dimension": 4}
    return FixedPoint.derive(**(bounds | changes))  # type: ignore[arg-type]


def clipped(vector: np.ndarray, norm: float) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector if length <= norm else vector * (norm / length)


def test_three_sites_use_every_bit_of_float32_in_the_narrow_ring() -> None:
    fixed = fixed_point()
    assert (fixed.scale, fixed.ring_bits) == (2**24, 32)
    assert fixed.sum_bound == 3 * 2**24
    assert fixed.sensitivity == 2**24


@pytest.mark.parametrize(("n_sites", "scale"), [(127, 2**24), (128, 2**23), (255, 2**23), (256, 2**22)])
def test_scale_halves_just_before_the_sum_could_wrap(n_sites: int, scale: int) -> None:
    assert fixed_point(weights=(1.0,) * n_sites).scale == scale


def test_noise_takes_room_in_the_ring() -> None:
    # 3 S + 10 * 12 S < 2^31 holds for S = 2^24 (123 S), not for sigma = 12.6 (129 S)
    assert fixed_point(noise_multiplier=12.0).scale == 2**24
    assert fixed_point(noise_multiplier=12.6).scale == 2**23


def test_weights_in_any_unit_keep_the_precision() -> None:
    assert fixed_point(weights=(1 / 64,) * 64).scale == 2**30
    assert fixed_point(weights=(21_000.0, 500.0, 300.0)).scale == 2**9  # 21000 * 2^9 <= 2^24 < 21000 * 2^10


def test_the_wide_ring_serves_only_where_the_bounds_demand_it() -> None:
    cohort = {"weights": (1.0,) * 50, "vectors_per_site": 400}  # 20,000 patients: S = 2^16 in 32 bits
    assert fixed_point(**cohort, dimension=50_000).ring_bits == 32
    wide = fixed_point(**cohort, dimension=33_500_000)  # truncation would take 9 % of a vector
    assert (wide.ring_bits, wide.scale) == (64, 2**24)


def test_a_vector_too_long_for_any_ring_is_refused() -> None:
    with pytest.raises(EncodingError, match="length 8589934592"):
        fixed_point(dimension=2**33)


@given(
    weights=st.lists(positive, min_size=1, max_size=20),
    vectors=st.integers(1, 10_000),
    sigma=st.floats(0, 100),
    dimension=st.integers(1, 40_000_000),
)
def test_the_largest_sum_and_noise_never_reach_half_the_ring(
    weights: list[float], vectors: int, sigma: float, dimension: int
) -> None:
    fixed = fixed_point(weights=weights, vectors_per_site=vectors, noise_multiplier=sigma, dimension=dimension)
    assert fixed.sum_bound + NOISE_TAIL * fixed.noise_sd < 2 ** (fixed.ring_bits - 1)
    assert fixed.noise_sd >= sigma * fixed.sensitivity * (1 - 1e-15)
    assert math.log2(fixed.scale).is_integer()
    assert fixed.sensitivity <= 2**24


def test_encode_truncates_toward_zero() -> None:
    fixed = fixed_point(clipping_norm=2.0**24)  # one unit of the grid is 1.0
    values = np.array([2.75, -2.75, 0.999, -0.5], dtype=np.float32)
    assert fixed.encode(values, 1.0).tolist() == [2, -2, 0, 0]
    assert fixed.encode(values, 0.5).tolist() == [1, -1, 0, 0]


def test_decode_divides_by_the_public_denominator() -> None:
    fixed = fixed_point(clipping_norm=3.0)
    total = np.array([2**24, -(2**23), 0, 3 * 2**24], dtype=np.int64)
    assert fixed.decode(total, 2.0).tolist() == [1.5, -0.75, 0.0, 4.5]


def test_a_norm_that_rounding_put_above_c_is_scaled_back() -> None:
    fixed = fixed_point()
    above = np.array([np.nextafter(np.float32(1), np.float32(2)), 0, 0, 0], dtype=np.float32)
    assert above[0] > 1
    assert fixed.encode(above, 1.0).tolist() == [2**24 - 1, 0, 0, 0]


def test_an_unclipped_vector_is_refused_with_its_norm() -> None:
    with pytest.raises(EncodingError, match=r"norm is 2\.0, above the clipping norm 1\.0"):
        fixed_point().encode(np.ones(4, dtype=np.float32), 1.0)


@pytest.mark.parametrize(
    ("vector", "weight", "message"),
    [
        (np.zeros(3, np.float32), 1.0, r"shape \(3,\), expected 4"),
        (np.zeros(4, np.int64), 1.0, "int64"),
        (np.array([0, np.nan, 0, 0], np.float32), 1.0, "NaN"),
        (np.array([0, np.inf, 0, 0], np.float32), 1.0, "infinity"),
        (np.zeros(4, np.float32), 1.5, r"weight 1\.5 is outside \(0, 1\.0\]"),
        (np.zeros(4, np.float32), 0.0, r"weight 0\.0"),
        (np.zeros(4, np.float32), math.nan, "weight nan"),
    ],
)
def test_encode_fails_closed(vector: np.ndarray, weight: float, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        fixed_point().encode(vector, weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clipping_norm": 0.0}, "clipping_norm is 0.0"),
        ({"clipping_norm": math.nan}, "clipping_norm is nan"),
        ({"weights": ()}, "weights are"),
        ({"weights": (1.0, -1.0)}, "-1.0"),
        ({"vectors_per_site": 0}, "vectors_per_site is 0"),
        ({"noise_multiplier": -1.0}, "noise_multiplier is -1.0"),
        ({"dimension": 0}, "dimension is 0"),
    ],
)
def test_impossible_bounds_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fixed_point(**change)


vectors_of_four = hnp.arrays(np.float32, 4, elements=st.floats(-1e6, 1e6, width=32))


@given(vector=vectors_of_four, norm=positive, weight=st.floats(0.015625, 1.0))
def test_encoding_never_grows_the_norm(vector: np.ndarray, norm: float, weight: float) -> None:
    fixed = fixed_point(clipping_norm=norm)
    encoded = fixed.encode(clipped(vector.astype(np.float64), norm).astype(np.float32), weight)
    assert sum(int(value) ** 2 for value in encoded) <= (weight * fixed.scale) ** 2


@given(vector=vectors_of_four, norm=positive)
def test_a_coordinate_is_off_by_less_than_two_units(vector: np.ndarray, norm: float) -> None:
    fixed = fixed_point(clipping_norm=norm)
    exact = clipped(vector.astype(np.float64), norm)
    encoded = fixed.encode(exact, 1.0)
    assert np.all(np.abs(encoded) <= np.abs(exact) * fixed.scale / norm * (1 + 1e-12))
    assert np.all(np.abs(fixed.decode(encoded.astype(np.int64), 1.0) - exact) < 2 * norm / fixed.scale)


@pytest.mark.parametrize("ring_bits", [32, 64])
@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), n_sites=st.integers(1, 6))
def test_sums_in_the_ring_are_exact(ring_bits: int, seed: int, n_sites: int) -> None:
    rng = np.random.default_rng(seed)
    wide = {"vectors_per_site": 10**6, "dimension": 2**20} if ring_bits == 64 else {"dimension": 4}
    fixed = fixed_point(weights=(1.0,) * n_sites, **wide)
    assert fixed.ring_bits == ring_bits
    contributions = rng.integers(-(2**24), 2**24 + 1, size=(n_sites, fixed.dimension))
    total = np.zeros(fixed.dimension, dtype=fixed.ring_dtype)
    for contribution in contributions:
        total += fixed.to_ring(contribution)
    assert np.array_equal(fixed.from_ring(total), contributions.sum(axis=0))


def test_removing_any_vector_moves_the_sum_by_no_more_than_the_sensitivity() -> None:
    fixed = fixed_point(weights=(0.75, 0.5, 0.25), clipping_norm=0.5, dimension=2)
    corners = [np.array(pair, np.float64) for pair in itertools.product((-9.0, -0.3, 0.0, 0.01, 9.0), repeat=2)]
    for weight, corner in itertools.product(fixed.weights, corners):
        encoded = fixed.encode(clipped(corner, 0.5), weight)
        assert math.isqrt(int(np.square(encoded.astype(np.int64)).sum())) <= fixed.sensitivity


def test_values_outside_the_ring_are_refused() -> None:
    fixed = fixed_point()
    inside = np.array([2**31 - 1, -(2**31) + 1, 0, -1], dtype=np.int64)
    assert np.array_equal(fixed.from_ring(fixed.to_ring(inside)), inside)
    assert fixed.to_ring(inside).tolist() == [2**31 - 1, 2**31 + 1, 0, 2**32 - 1]
    with pytest.raises(EncodingError, match="outside the ring of 32 bits"):
        fixed.to_ring(np.array([2**31, 0, 0, 0], dtype=np.int64))
    with pytest.raises(EncodingError, match="uint64"):
        fixed.from_ring(np.zeros(4, dtype=np.uint64))


def test_a_sum_beyond_its_bound_is_refused() -> None:
    fixed = fixed_point()
    fixed.check_sum(np.full(4, 3 * 2**24, dtype=np.int64))
    with pytest.raises(EncodingError, match="above the bound 50331648"):
        fixed.check_sum(np.full(4, -3 * 2**24 - 1, dtype=np.int64))


def test_squared_norm_does_not_lose_small_values() -> None:
    vector = np.full(3_000_000, 1e-4, dtype=np.float32)
    vector[0] = 1e4
    exact = math.fsum(float(value) ** 2 for value in vector)
    assert squared_norm(vector) == pytest.approx(exact, rel=2**-45)
