"""Clipping: never above C, never twice, and untouched where it is not needed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated.clipping import clip


def exact_norm(vector: np.ndarray) -> float:
    return math.sqrt(math.fsum(float(value) ** 2 for value in vector))


def test_a_long_vector_is_scaled_to_the_ball() -> None:
    clipped = clip(np.array([3, 4], np.float32), 1.0)
    assert clipped.norm_before == 5.0
    assert clipped.factor == pytest.approx(0.2, rel=1e-6)
    assert clipped.vector == pytest.approx([0.6, 0.8], rel=1e-6)
    assert clipped.vector.dtype == np.float32


@pytest.mark.parametrize("values", [[0.0, 0.0], [0.3, 0.4], [0.6, 0.0]])
def test_a_short_vector_is_left_as_it_is(values: list[float]) -> None:
    vector = np.array(values, np.float32)
    clipped = clip(vector, 1.0)
    assert clipped.factor == 1.0
    assert clipped.vector is vector


@given(
    vector=hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    clipping_norm=st.floats(1e-3, 1e3),
)
def test_the_norm_never_passes_c_and_clipping_twice_is_clipping_once(vector: np.ndarray, clipping_norm: float) -> None:
    once = clip(vector, clipping_norm)
    assert exact_norm(once.vector) <= clipping_norm
    assert once.norm_before == pytest.approx(exact_norm(vector), rel=1e-12)
    assert np.array_equal(clip(once.vector, clipping_norm).vector, once.vector)


def test_a_large_vector_keeps_its_direction_and_nearly_all_of_c() -> None:
    vector = np.random.default_rng(1).standard_normal(1_000_000).astype(np.float32)
    clipped = clip(vector, 2.0)
    assert 2.0 * (1 - 1e-6) < exact_norm(clipped.vector) <= 2.0
    assert np.allclose(clipped.vector, vector * np.float32(clipped.factor), rtol=1e-6, atol=0)


def test_a_ball_smaller_than_float32_resolves_leaves_zero() -> None:
    assert exact_norm(clip(np.full(4, 2.0**-149, np.float32), 1e-46).vector) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_vector_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(UpdateError, match=r"norm is (nan|inf)"):
        clip(np.array([1, bad], np.float32), 1.0)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_clipping_norm_is_named(bad: float) -> None:
    with pytest.raises(ConfigError, match=f"clipping_norm is {bad}"):
        clip(np.zeros(2, np.float32), bad)
