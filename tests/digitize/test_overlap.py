"""Rows that run over each other: whose run is whose, on a page of a few columns."""

import numpy as np
import pytest

from ecg_flare.digitize.trace.overlap import (
    ALONE,
    BETWEEN,
    LOWER,
    UPPER,
    foreign_runs,
    separate_lines,
    shared_runs,
    side_of,
)
from ecg_flare.digitize.trace.runs import GAP, Runs, find_runs


def crossing() -> tuple[Runs, np.ndarray]:
    """Two lines at 10 and 30 in six columns; in columns 2 and 3 they are one run."""
    ink = np.zeros((50, 6), np.float32)
    ink[10:12] = 1.0
    ink[30:32] = 1.0
    ink[10:32, 2:4] = 1.0
    runs = find_runs(ink)
    upper = [runs.start[column] for column in range(6)]
    lower = [runs.start[column + 1] - 1 for column in range(6)]
    return runs, np.array([upper, lower])


def test_a_run_that_both_rows_take_has_an_upper_and_a_lower_row() -> None:
    runs, paths = crossing()
    shared = shared_runs(runs, paths)
    assert [list(side_of(row, shared[:, paths[row]])) for row in (0, 1)] == [
        [ALONE, ALONE, UPPER, UPPER, ALONE, ALONE],
        [ALONE, ALONE, LOWER, LOWER, ALONE, ALONE],
    ]
    three = np.array([[0, 0, 0], [2, 2, 2]])
    assert side_of(1, three)[0] == BETWEEN


def test_thin_runs_are_foreign_to_all_but_their_own_row_and_a_shared_one_to_nobody() -> None:
    runs, paths = crossing()
    levels = np.repeat([[10.5], [30.5]], 6, axis=1)
    foreign = foreign_runs(runs, paths, levels)
    own = [np.isin(np.arange(len(runs.centre)), path) for path in paths]
    both = own[0] & own[1]
    assert both.sum() == 2
    assert not foreign[:, both].any()
    assert (foreign[0] == (own[1] & ~both)).all()
    assert (foreign[1] == (own[0] & ~both)).all()


def test_a_run_that_nobody_takes_is_foreign_to_nobody() -> None:
    runs, paths = crossing()
    paths[1, 0] = GAP
    assert not foreign_runs(runs, paths, np.repeat([[10.5], [30.5]], 6, axis=1))[:, 1].any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_line_keeps_the_edge_that_is_its_own(mirrored: bool) -> None:
    """A level line of two pixels, whose ink goes on into another row's below (or above) in three columns."""
    top, bottom = np.full(15, 9.0), np.full(15, 11.0)
    side = np.full(15, ALONE)
    bottom[6:9], side[6:9] = 40.0, UPPER
    if mirrored:
        top, bottom = -bottom, -top
        side[6:9] = LOWER
    y, found_top, found_bottom = separate_lines((top + bottom) / 2, top, bottom, side)
    sign = -1.0 if mirrored else 1.0
    np.testing.assert_allclose(y, sign * 10.0)
    np.testing.assert_allclose(found_bottom - found_top, 2.0)


def test_a_common_stretch_that_is_no_crossing_is_left_alone() -> None:
    """41 columns together are one line that two rows claim."""
    side = np.full(61, ALONE)
    side[10:51] = UPPER
    top, bottom = np.full(61, 9.0), np.where(side == ALONE, 11.0, 40.0)
    y, found_top, found_bottom = separate_lines((top + bottom) / 2, top, bottom, side)
    np.testing.assert_array_equal(found_bottom, bottom)
    np.testing.assert_array_equal(found_top, top)
    np.testing.assert_array_equal(y, (top + bottom) / 2)
