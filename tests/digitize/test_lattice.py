"""The lattice of drawn grids, and of what is none."""

import numpy as np
import pytest
from drawn_grids import grid_signal_of

from ecg_flare.digitize.rectify.lattice import find_lattice


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
