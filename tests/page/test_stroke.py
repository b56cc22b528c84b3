import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.page.stroke import distance_to_strokes, stroke_coverage, stroke_reach

coordinate = st.floats(-5, 35, allow_nan=False, width=32)
polylines = st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=6).map(lambda p: np.array(p, np.float64))


def brute_force(polyline: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """By points on the line that lie 0.1 apart at most, so that no distance is more than 0.05 too long."""
    steps = np.linspace(0, 1, 600)[:, None, None]
    dense = (polyline[:-1] + steps * (polyline[1:] - polyline[:-1])).reshape(-1, 2)
    y, x = np.mgrid[: shape[0], : shape[1]]
    pixels = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
    return np.array([np.hypot(*(dense - pixel).T).min() for pixel in pixels]).reshape(shape)


@settings(max_examples=30, deadline=None)
@given(polyline=polylines)
def test_distances_equal_brute_force(polyline: np.ndarray) -> None:
    expected = brute_force(polyline, (24, 30))
    found = distance_to_strokes([polyline], (24, 30), 3.0)
    near = expected < 2.9
    np.testing.assert_allclose(found[near], expected[near], atol=0.06)
    assert (found[expected > 3.2] > 3.0).all()


def test_the_nearest_of_several_strokes_counts() -> None:
    lines = [np.array([[0.0, 2.0], [9.0, 2.0]]), np.array([[0.0, 6.0], [9.0, 6.0]])]
    np.testing.assert_allclose(distance_to_strokes(lines, (9, 10), 10.0)[:, 5], [2, 1, 0, 1, 2, 1, 0, 1, 2], atol=1e-6)


def test_no_strokes_are_infinitely_far() -> None:
    assert np.isinf(distance_to_strokes([], (3, 4), 2.0)).all()
    assert np.isinf(distance_to_strokes([np.array([[1.0, 1.0]])], (3, 4), 2.0)).all()


@pytest.mark.parametrize("width_px", [0.6, 1.0, 1.77, 2.5, 7.3])
@pytest.mark.parametrize("offset", [0.0, 0.13, 0.5, 0.81])
def test_level_strokes_have_their_width_and_their_middle(width_px: float, offset: float) -> None:
    line = np.array([[-5.0, 20 + offset], [25.0, 20 + offset]])
    distance = distance_to_strokes([line], (40, 20), stroke_reach(width_px))
    ink = stroke_coverage(distance, width_px)[:, 10].astype(np.float64)
    assert ink.sum() == pytest.approx(width_px, abs=1e-5)
    assert (ink * np.arange(40)).sum() / ink.sum() == pytest.approx(20 + offset, abs=1e-5)
    assert ink.min() >= 0
    assert ink.max() <= 1


def test_long_recordings_are_drawn_in_chunks_alike() -> None:
    x = np.linspace(0, 900, 40_000)
    line = np.stack([x, 200 + 150 * np.sin(x / 3)], axis=1)
    whole = distance_to_strokes([line], (400, 900), 2.0)
    halves = np.minimum(
        distance_to_strokes([line[:20_001]], (400, 900), 2.0), distance_to_strokes([line[20_000:]], (400, 900), 2.0)
    )
    inked = halves < 2
    np.testing.assert_allclose(whole[inked], halves[inked], atol=0.03)
