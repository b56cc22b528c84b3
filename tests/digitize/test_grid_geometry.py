"""The lattice, its homography and its pitch against grids drawn from formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.digitize.measure.correlation import correlate
from ecg_flare.digitize.measure.fine_pitch import refine_pitch
from ecg_flare.digitize.measure.pitch import readings, size_log_odds
from ecg_flare.digitize.rectify.lattice import find_lattice
from ecg_flare.digitize.rectify.plane import Gradients, fit_homography


def gradients_of(homography: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of u and v by central differences: an oracle that knows no formula."""

    def grid(points: np.ndarray) -> np.ndarray:
        homogeneous = np.column_stack([points, np.ones(len(points))]) @ homography.T
        return homogeneous[:, :2] / homogeneous[:, 2:]

    right, below = np.array([1e-3, 0.0]), np.array([0.0, 1e-3])
    along = (grid(at + right) - grid(at - right)) / 2e-3
    down = (grid(at + below) - grid(at - below)) / 2e-3
    return np.column_stack([along[:, 0], down[:, 0]]), np.column_stack([along[:, 1], down[:, 1]])


@settings(max_examples=40, deadline=None)
@given(
    angle=st.floats(-0.7, 0.7),
    pitch=st.floats(3.0, 30.0),
    stretch=st.floats(0.85, 1.15),
    tilt=st.tuples(st.floats(-2e-4, 2e-4), st.floats(-2e-4, 2e-4)),
)
def test_the_homography_is_recovered_from_its_gradients(
    angle: float, pitch: float, stretch: float, tilt: tuple[float, float]
) -> None:
    centre = np.array([500.0, 400.0])
    cosine, sine = np.cos(angle), np.sin(angle)
    truth = np.array(
        [[cosine / pitch, sine / pitch, 0], [-sine * stretch / pitch, cosine * stretch / pitch, 0], [*tilt, 1]]
    )
    truth = truth @ np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, 1.0]])
    at = np.stack(np.meshgrid(np.linspace(50, 950, 7), np.linspace(50, 750, 6)), axis=-1).reshape(-1, 2)
    of_u, of_v = gradients_of(truth, at)
    ones = np.ones(len(at))

    found = fit_homography(Gradients(at, of_u, ones), Gradients(at, of_v, ones), centre)

    found_u, found_v = gradients_of(found, at)
    np.testing.assert_allclose(found_u, of_u, atol=2e-6)
    np.testing.assert_allclose(found_v, of_v, atol=2e-6)


def lines(length: int, pitch: float, phase: float, width: float) -> np.ndarray:
    """Coverage of pixels by lines of a width at phase + k * pitch, averaged over each pixel exactly."""
    edges = np.arange(length + 1) - 0.5
    turns = (edges - phase) / pitch
    integral = np.floor(turns) * width + np.minimum((turns - np.floor(turns)) * pitch, width)
    return np.diff(integral)


def grid_signal_of(pitch_x: float, pitch_y: float, shape: tuple[int, int] = (700, 1000)) -> np.ndarray:
    fine = np.maximum(lines(shape[1], pitch_x, 2.3, 0.6)[None], lines(shape[0], pitch_y, 1.1, 0.6)[:, None]) * 0.4
    heavy = np.maximum(lines(shape[1], 5 * pitch_x, 2.3, 1.0)[None], lines(shape[0], 5 * pitch_y, 1.1, 1.0)[:, None])
    return np.maximum(fine, heavy).astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(pitch_x=st.floats(3.3, 9.0), stretch=st.floats(0.93, 1.07))
def test_the_pitch_of_a_drawn_grid(pitch_x: float, stretch: float) -> None:
    signal = grid_signal_of(pitch_x, pitch_x * stretch)

    for picture, truth in ((signal, pitch_x), (np.ascontiguousarray(signal.T), pitch_x * stretch)):
        best = readings(correlate(picture, truth), 1000.0)[0]
        assert best.px_per_mm == pytest.approx(truth, rel=1e-3)
        assert refine_pitch(picture, truth * 1.005) == pytest.approx(truth, rel=2e-3)


@pytest.mark.parametrize(("pitch", "expected"), [(4.0, 4.0), (20.0, 4.0)])
def test_lines_of_one_kind_are_told_by_the_size_of_a_page(pitch: float, expected: float) -> None:
    # Lines 4 pixels apart on 1000 pixels are millimetres of a 25 cm page; lines 20 apart are its 5 mm lines.
    one_kind = np.maximum(lines(1000, pitch, 2.3, 0.7)[None], lines(700, pitch, 1.1, 0.7)[:, None]).astype(np.float32)

    best = readings(correlate(one_kind, pitch), 1000.0)[0]

    assert best.px_per_mm == pytest.approx(expected, rel=2e-3)


def test_usual_pages_are_likelier_than_stamps_and_posters() -> None:
    assert size_log_odds(270.0) == 0.0
    assert size_log_odds(54.0) < -2.0
    assert size_log_odds(1350.0) < -8.0


def test_the_lattice_of_a_drawn_grid() -> None:
    signal = grid_signal_of(6.1, 5.8)
    image = np.repeat((255 - 120 * signal)[:, :, None], 3, axis=2).astype(np.uint8)

    found = find_lattice(image)

    assert found is not None
    assert 1 / found.to_grid[0, 0] == pytest.approx(6.1, rel=2e-3)
    assert 1 / found.to_grid[1, 1] == pytest.approx(5.8, rel=2e-3)
    assert abs(found.to_grid[0, 1] / found.to_grid[0, 0]) < 1e-3


def test_a_blank_and_a_ruled_page_have_no_lattice() -> None:
    ruled = np.full((700, 1000, 3), 255, np.uint8)
    ruled[::20] = 150

    assert find_lattice(ruled) is None
    assert find_lattice(np.full((700, 1000, 3), 255, np.uint8)) is None
