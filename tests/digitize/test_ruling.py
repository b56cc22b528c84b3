"""A grid that was taken for trace is told from traces."""

import numpy as np

from ecg_flare.digitize.ink.ruling import is_ruled
from ecg_flare.digitize.units import PxPerMm

SCALE = PxPerMm(4.0, 4.0)


def test_many_lines_or_long_straight_runs_both_ways_are_a_grid() -> None:
    fine, coarse, askew = (np.zeros((800, 1000), np.float32) for _ in range(3))
    fine[::5] = fine[:, ::5] = 1.0
    coarse[::40] = coarse[:, ::40] = 1.0
    askew[(np.indices(askew.shape).sum(axis=0) % 7) < 2] = 1.0
    assert is_ruled(fine, SCALE)
    assert is_ruled(coarse, SCALE)
    assert is_ruled(askew, SCALE)


def test_twelve_resting_lines_with_strokes_are_traces() -> None:
    page = np.zeros((800, 1000), np.float32)
    for row in range(12):
        page[40 + 60 * row : 43 + 60 * row] = 1.0
        for beat in range(50, 1000, 100):
            page[10 + 60 * row : 40 + 60 * row, beat : beat + 2] = 1.0
    assert not is_ruled(page, SCALE)
    assert not is_ruled(np.zeros((800, 1000), np.float32), SCALE)
