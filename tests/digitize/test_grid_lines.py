"""Darkness that a grid explains."""

import numpy as np
import pytest

from ecg_flare.digitize.rectify.grid_lines import straight_line_darkness


def test_lines_that_cross_the_page_are_explained_and_a_slanting_one_is_not() -> None:
    dark = np.zeros((400, 800), np.float32)
    dark[:, ::20] = dark[::20] = 0.3
    for x in range(100, 300):
        dark[x, x] = 0.9
    grid = straight_line_darkness(dark, 4.0)
    assert grid[105, 400] == pytest.approx(0.3)
    assert grid[205, 205] == pytest.approx(0.0)


def test_grid_keeps_a_resting_line() -> None:
    """A line that rests over half the page is no grid: lines of the grid cross all of it."""
    dark = np.zeros((400, 800), np.float32)
    dark[:, ::20] = dark[::20] = 0.3
    dark[210:212, 200:600] = 0.9
    grid = straight_line_darkness(dark, 4.0)
    assert grid[200, 405] == pytest.approx(0.3)
    assert grid[211, 405] < 0.45
