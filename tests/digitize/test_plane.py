"""The homography of a plane grid against its gradients by central differences."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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
