"""Paths through runs of ink: what is followed in one step comes out as it does column by column."""

import numpy as np
import pytest

from ecg_flare.digitize.trace import path as trace_path
from ecg_flare.digitize.trace.path import find_stretches, row_paths
from ecg_flare.digitize.trace.runs import GAP, Runs, find_runs
from ecg_flare.digitize.units import PxPerMm

WIDTH = 240
SCALE = PxPerMm(8.0, 8.0)


def ink_of(*lines: np.ndarray, height: int = 160) -> np.ndarray:
    """Ink of lines two pixels thick that fill the way from column to column; NaN leaves a column blank."""
    ink = np.zeros((height, WIDTH), np.float32)
    for line in lines:
        for x in np.flatnonzero(np.isfinite(line)):
            near = line[max(0, x - 1) : x + 2]
            low, high = np.nanmin((near + line[x]) / 2), np.nanmax((near + line[x]) / 2)
            ink[round(low) : round(high) + 2, x] = 1.0
    return ink


def crossing_lines() -> tuple[Runs, np.ndarray]:
    x = np.arange(WIDTH)
    upper = 40.0 + 70.0 * np.exp(-0.5 * ((x - 90) / 4.0) ** 2)
    lower = 110.0 - 50.0 * np.exp(-0.5 * ((x - 170) / 5.0) ** 2)
    lower[200:210] = np.nan
    levels = np.repeat(np.array([[40.0], [110.0]]), WIDTH, axis=1)
    return find_runs(ink_of(upper, lower)), levels


def test_stretches_hold_the_same_runs_from_end_to_end() -> None:
    runs, _ = crossing_lines()
    stretches = find_stretches(runs, apart_px=3.0, max_columns=50)
    count = np.diff(runs.start)
    assert stretches.edges[0] == 0
    assert stretches.edges[-1] == WIDTH
    for first, after, n in zip(stretches.edges[:-1], stretches.edges[1:], stretches.count, strict=True):
        assert 0 < after - first <= 50
        assert (count[first:after] == n).all()
        for column in range(first, after - 1):
            here, there = (np.arange(runs.start[c], runs.start[c + 1]) for c in (column, column + 1))
            assert (runs.top[here] <= runs.bottom[there]).all()
            assert (runs.top[there] <= runs.bottom[here]).all()
            assert (runs.top[here[1:]] - runs.bottom[there[:-1]] >= 3.0).all()
    assert len(stretches.count) < WIDTH / 4


def test_paths_are_those_found_column_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, levels = crossing_lines()
    together = row_paths(runs, levels, SCALE)
    monkeypatch.setattr(trace_path, "STRETCH_MM", 1e-6)
    np.testing.assert_array_equal(together, row_paths(runs, levels, SCALE))


def test_a_gap_stays_a_gap_and_a_crossing_is_passed() -> None:
    runs, levels = crossing_lines()
    upper, lower = row_paths(runs, levels, SCALE)
    assert (lower[200:210] == GAP).all()
    assert (upper != GAP).all()
    np.testing.assert_allclose(runs.centre[upper[[20, 230]]], 40.5, atol=0.6)
    np.testing.assert_allclose(runs.centre[lower[[20, 230]]], 110.5, atol=0.6)
