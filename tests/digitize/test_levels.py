"""Rows' levels by votes, where the columns do not agree on how many rows there are."""

import numpy as np
import pytest

from ecg_flare.digitize.trace.levels import drifting_levels, find_levels
from ecg_flare.digitize.trace.runs import find_runs
from ecg_flare.digitize.units import PxPerMm

SCALE = PxPerMm(8.0, 8.0)
HEIGHT, WIDTH = 400, 800


def ink_of(*lines: tuple[np.ndarray | float, slice]) -> np.ndarray:
    """Lines two pixels thick, each y over its part of the columns."""
    ink = np.zeros((HEIGHT, WIDTH), np.float32)
    for y, part in lines:
        columns = np.arange(WIDTH)[part]
        top = np.round(np.broadcast_to(y, WIDTH)[part]).astype(int)
        ink[top, columns] = ink[top + 1, columns] = 1.0
    return ink


def test_levels_are_where_lines_rest() -> None:
    whole = slice(None)
    levels = find_levels(find_runs(ink_of((80.0, whole), (200.0, whole), (300.0, slice(0, 40)))), HEIGHT, SCALE)
    assert list(levels) == pytest.approx([80.5, 200.5], abs=1.0)  # 40 columns are too few for a row
    assert len(find_levels(find_runs(np.zeros((HEIGHT, WIDTH), np.float32)), HEIGHT, SCALE)) == 0


def test_a_line_that_wanders_is_one_row_and_its_level_drifts() -> None:
    wandering = np.linspace(80.0, 180.0, WIDTH)
    levels = drifting_levels(find_runs(ink_of((wandering, slice(None)), (320.0, slice(None)))), HEIGHT, SCALE)
    assert levels is not None
    assert len(levels) == 2
    inner = slice(200, WIDTH - 200)
    np.testing.assert_allclose(levels[0, inner], wandering[inner] + 0.5, atol=6.0)
    np.testing.assert_allclose(levels[1], 320.5, atol=0.5)


def test_a_page_without_a_line_has_no_levels() -> None:
    assert drifting_levels(find_runs(np.zeros((HEIGHT, WIDTH), np.float32)), HEIGHT, SCALE) is None
