"""The fit of a pen to extents: level lines, peaks, gaps."""

import numpy as np
import pytest

from ecg_flare.digitize.trace.refine import pen_px, refine_row
from ecg_flare.digitize.trace.rows import RowTrace

PEN = 2.0
WIDTH = 60


def drawn(line: np.ndarray) -> RowTrace:
    """Extents that a round pen of 2 pixels leaves of a line given at every fiftieth of a pixel."""
    x = np.arange(-25, WIDTH * 50 - 25) / 50
    column = np.arange(WIDTH)
    away = np.maximum(0.0, np.abs(x[None] - column[:, None]) - 0.3)
    half = np.where(away < PEN / 2, np.sqrt(np.maximum(0.0, (PEN / 2) ** 2 - away**2)), -np.inf)
    top, bottom = (line[None] - half).min(axis=1), (line[None] + half).max(axis=1)
    return RowTrace((top + bottom) / 2, top, bottom, float(np.median(line)), np.zeros(WIDTH, bool))


def test_a_level_line_is_read_where_it_is() -> None:
    row = drawn(np.full(WIDTH * 50, 20.25))
    np.testing.assert_allclose(refine_row(row, PEN)[:, 1], 20.25, atol=1e-6)
    assert pen_px([row]) == pytest.approx(PEN)


def test_a_narrow_peak_is_read_to_its_tip() -> None:
    """A triangle of 30 pixels over 6 columns, whose ink's middle in the tip's column lies far below the tip."""
    x = np.arange(-25, WIDTH * 50 - 25) / 50
    row = drawn(50.0 - np.maximum(0.0, 30.0 * (1 - np.abs(x - 30.0) / 3.0)))
    polyline = refine_row(row, PEN)
    near = np.abs(polyline[:, 0] - 30.0) < 2.0
    assert row.y[28:33].min() > 25.0
    assert polyline[near, 1].min() == pytest.approx(20.0, abs=4.0)


def test_blank_columns_stay_blank_and_two_columns_are_no_line() -> None:
    row = drawn(np.full(WIDTH * 50, 20.0))
    for values in (row.y, row.top, row.bottom):
        values[10:20] = np.nan
    polyline = refine_row(row, PEN)
    lost = (polyline[:, 0] > 9.5) & (polyline[:, 0] < 19.5)
    assert np.isnan(polyline[lost, 1]).all()
    assert np.isfinite(polyline[~lost, 1]).all()
    for values in (row.y, row.top, row.bottom):
        values[2:] = np.nan
    np.testing.assert_array_equal(refine_row(row, PEN)[:, 1], row.y)
