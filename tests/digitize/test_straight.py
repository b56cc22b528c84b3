"""Pages made straight by a lattice or an outline that is known exactly."""

import numpy as np
import pytest

from ecg_flare.digitize.rectify.lattice import Lattice
from ecg_flare.digitize.rectify.sheet import Sheet
from ecg_flare.digitize.rectify.straight import straight_by_lattice, straight_by_outline

EXTENT = (0.0, 100.0, 0.0, 70.0)


def lattice(turn_deg: float, bend: float = 0.0) -> Lattice:
    """A grid of 6 pixels a period along x and 5 down y, whose x axis is turned clockwise in the picture."""
    cosine, sine = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    to_grid = np.diag([1 / 6.0, 1 / 5.0, 1.0]) @ [[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]]
    return Lattice(to_grid, 1.0, bend, EXTENT)


def page() -> np.ndarray:
    return np.random.default_rng(0).integers(180, 250, (350, 600, 3)).astype(np.uint8)


@pytest.mark.parametrize("turn_deg", [0.0, 0.09])
def test_a_page_within_a_tenth_of_a_degree_is_not_resampled(turn_deg: float) -> None:
    image = page()

    found = straight_by_lattice(image, lattice(turn_deg), None)

    assert found.image is image
    np.testing.assert_array_equal(found.homography, np.eye(3))
    assert found.period_px == pytest.approx((6.0, 5.0))
    assert found.turn_deg == pytest.approx(turn_deg)


@pytest.mark.parametrize("turn_deg", [1.0, -2.5])
def test_a_turned_page_is_turned_back_at_its_own_scale(turn_deg: float) -> None:
    found = straight_by_lattice(page(), lattice(turn_deg), None)

    assert found.turn_deg == pytest.approx(turn_deg)
    along = found.homography[:2, :2] @ [np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))]
    np.testing.assert_allclose(along, [1.0, 0.0], atol=1e-9)


def test_curved_paper_is_said() -> None:
    assert straight_by_lattice(page(), lattice(0.0, bend=0.2), None).warnings == ()
    assert "curved" in straight_by_lattice(page(), lattice(0.0, bend=0.25), None).warnings[0]


def test_a_sheet_without_a_grid_is_flattened_to_its_corners() -> None:
    corners = np.array([[50.0, 20.0], [549.0, 20.0], [549.0, 319.0], [50.0, 319.0]])
    sheet = Sheet(np.ones((35, 60), bool), corners)

    image = np.full((350, 600, 3), 240, np.uint8)
    image[100:300:50] = 20  # level traces

    found = straight_by_outline(image, sheet)

    assert found.period_px is None
    assert "no grid" in found.warnings[0]
    moved = found.homography @ np.column_stack([corners, np.ones(4)]).T
    flat = (moved[:2] / moved[2]).T
    np.testing.assert_allclose(flat[1] - flat[0], [499.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(flat[3] - flat[0], [0.0, 299.0], atol=1e-6)
