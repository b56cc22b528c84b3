"""A homography that is nearly right is made exact by the phases of the grid's lines."""

import numpy as np
import pytest
from drawn_grids import grid_signal_of

from ecg_flare.digitize.rectify.phases import refine_homography


def test_a_grid_read_half_a_per_cent_wide_is_put_right() -> None:
    signal = grid_signal_of(6.1, 5.8)
    to_grid = np.diag([1 / (6.1 * 1.005), 1 / (5.8 * 0.996), 1.0])

    for _ in range(3):
        found = refine_homography(signal, to_grid)
        assert found is not None
        to_grid = found.to_grid

    assert 1 / to_grid[0, 0] == pytest.approx(6.1, rel=5e-4)
    assert 1 / to_grid[1, 1] == pytest.approx(5.8, rel=5e-4)
    assert found.jitter < 0.02
    left, right, top, bottom = found.extent
    assert right - left == pytest.approx(1000 / 6.1, abs=13)  # to a tile of 12 periods
    assert bottom - top == pytest.approx(700 / 5.8, abs=13)


def test_a_horizon_within_the_picture_is_no_page() -> None:
    tilted = np.array([[0.16, 0, 0], [0, 0.17, 0], [-1e-3, 0, 1.0]])  # x = 1000 is infinitely far

    assert refine_homography(grid_signal_of(6.1, 5.8), tilted) is None


def test_a_page_of_a_few_periods_has_too_few_tiles() -> None:
    assert refine_homography(grid_signal_of(6.1, 5.8), np.diag([1 / 60.0, 1 / 60.0, 1.0])) is None
