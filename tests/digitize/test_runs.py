"""Runs of ink, one by one: edges, masses, specks, and what an extent has in common with them."""

import numpy as np
import pytest

from ecg_flare.digitize.trace.runs import find_runs


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_a_pale_rim_counts_into_edges_centre_and_mass() -> None:
    """Full ink in pixels 2 and 3, a quarter in pixel 4: the ink ends a quarter of a pixel further."""
    runs = find_runs(column(0, 0, 1, 1, 0.25, 0, 0))
    assert len(runs.mass) == 1
    assert (runs.top[0], runs.bottom[0]) == pytest.approx((1.5, 3.75))
    assert runs.mass[0] == pytest.approx(2.25)
    assert runs.centre[0] == pytest.approx((2 + 3 + 4 * 0.25) / 2.25)


def test_a_speck_is_no_run_and_neither_is_what_is_left_of_a_grid_line() -> None:
    assert len(find_runs(column(0, 0.34, 0)).mass) == 0
    many = np.zeros((20, 10), np.float32)
    many[4:8] = 1.0  # runs of mass 4
    many[15, 3] = 0.9  # less than 0.3 of that
    many[15, 5] = many[16, 5] = 0.7  # more
    assert list(np.bincount(find_runs(many).column)) == [1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


def test_common_ink_is_counted_in_pixels_and_a_gap_is_negative() -> None:
    ink = np.zeros((12, 2), np.float32)
    ink[2:5, 1] = 1.0
    ink[8:10, 1] = 1.0
    runs = find_runs(ink)
    here, common = runs.common(1, 3.5, 8.5)
    assert list(here) == [0, 1]
    assert list(common) == pytest.approx([1.0, 1.0])
    assert list(runs.common(1, 5.5, 6.5)[1]) == pytest.approx([-1.0, -1.0])
    assert len(runs.common(0, 0.0, 9.0)[0]) == 0
