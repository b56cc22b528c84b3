"""Rows of the page, and the line of each: whose runs of ink are whose, settled by a few paths of all rows together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from ecg_flare.digitize.trace.levels import LEVEL_REACH_MM, MIN_ROW_WIDTH_MM, drifting_levels
from ecg_flare.digitize.trace.overlap import ALONE, foreign_runs, separate_lines, shared_runs, side_of
from ecg_flare.digitize.trace.path import row_paths
from ecg_flare.digitize.trace.ranks import Ranks, foreign_by_rank, rank_levels, rank_rows
from ecg_flare.digitize.trace.runs import GAP, Runs, find_runs
from ecg_flare.digitize.units import PxPerMm

INK_REWARD: Final = 0.02  # for every millimetre of ink that a column of the path explains
MIN_PART: Final = 0.55  # of the middle row's ink
MAX_FILLED_MM: Final = 5.0
ISLAND_GAP_MM, ISLAND_MM = 2.0, 6.0  # a shorter piece at an end, behind a longer gap, is no part of the row


@dataclass(frozen=True, eq=False)
class RowTrace:
    """One row's line: for every pixel column its y, NaN where there is no ink.

    `top` and `bottom` are the extent of the ink that the line runs through, `level_px` the row's resting level,
    `shared` the columns whose ink another row runs through, too.
    """

    y: Float64[np.ndarray, " w"]
    top: Float64[np.ndarray, " w"]
    bottom: Float64[np.ndarray, " w"]
    level_px: float
    shared: Bool[np.ndarray, " w"]

    @property
    def first(self) -> int:
        """The first column with ink."""
        return int(np.flatnonzero(np.isfinite(self.y))[0])

    @property
    def last(self) -> int:
        """The last column with ink."""
        return int(np.flatnonzero(np.isfinite(self.y))[-1])

    @property
    def coverage(self) -> float:
        """Share of the columns between the first and the last that have ink."""
        return float(np.isfinite(self.y[self.first : self.last + 1]).mean())


def trace_rows(
    ink: Float32[np.ndarray, "h w"], scale: PxPerMm, levels_px: Sequence[float] | None = None
) -> tuple[RowTrace, ...]:
    """Return the rows of a page from top to bottom; empty if nothing is long enough to be one.

    `levels_px` are the rows' resting levels where a person said them: none is then looked for, and none left out for
    being faint.
    """
    runs = find_runs(ink)
    anchored = _anchored_rows(runs, scale) if levels_px is None else None
    levels = anchored.levels if anchored is not None else drifting_levels(runs, ink.shape[0], scale)
    if levels_px is not None:
        levels = np.repeat(np.sort(levels_px)[:, None], runs.n_columns, axis=1)
    if levels is None:
        return ()
    paths = _settled_paths(runs, levels, anchored, scale)
    paths = fill_gaps(runs, paths, round(MAX_FILLED_MM * scale.x))
    shared = shared_runs(runs, paths)
    rows = []
    for number, (path, level) in enumerate(zip(paths, np.median(levels, axis=1), strict=True)):
        row = _row_of(runs, _without_islands(path, scale.x), level, number, shared)
        if row is not None and row.last - row.first > MIN_ROW_WIDTH_MM * scale.x:
            rows.append(row)
    return _without_scraps(rows) if levels_px is None else tuple(rows)


@dataclass(frozen=True, eq=False)
class _AnchoredRows:
    """Rows whose number most columns agree on: their anchors, their levels, and for each row the others' anchors."""

    ranks: Ranks
    levels: Float64[np.ndarray, "rows columns"]
    foreign: Bool[np.ndarray, "rows runs"]


def _anchored_rows(runs: Runs, scale: PxPerMm) -> _AnchoredRows | None:
    ranks = rank_rows(runs)
    levels = rank_levels(runs, ranks, LEVEL_REACH_MM * scale.x) if ranks is not None else None
    if ranks is None or levels is None:
        return None
    return _AnchoredRows(ranks, levels, foreign_by_rank(runs, ranks))


def _settled_paths(
    runs: Runs, levels: Float64[np.ndarray, "rows columns"], anchored: _AnchoredRows | None, scale: PxPerMm
) -> Int64[np.ndarray, "rows columns"]:
    """Return the rows' paths: two passes settle whose ink is whose, the third is drawn to ink that nobody claims."""
    foreign = anchored.foreign if anchored is not None else np.zeros((len(levels), len(runs.centre)), bool)
    for reward in (0.0, 0.0, INK_REWARD):
        paths = row_paths(runs, levels, scale, foreign, reward)
        foreign = foreign_runs(runs, paths, levels)
        if anchored is not None:
            anchors = anchored.ranks.run.ravel()
            foreign[:, anchors] = anchored.foreign[:, anchors]
    return paths


def fill_gaps(
    runs: Runs, paths: Int64[np.ndarray, "rows columns"], max_columns: int
) -> Int64[np.ndarray, "rows columns"]:
    """Return the paths with short gaps filled from both sides, by ink that nobody takes and that hangs together.

    Where one lead ends and the next one begins elsewhere, a gap costs a path less than the leap, and may take the
    last peak with it.
    """
    paths = paths.copy()
    free = np.ones(len(runs.centre), bool)
    free[paths[paths != GAP]] = False
    for path in paths:
        at = np.flatnonzero(path != GAP)
        for left, right in pairwise(at):
            if not 1 < right - left <= max_columns:
                continue
            for columns in (range(left + 1, right), range(right - 1, left, -1)):
                _follow_ink(runs, path, free, columns)
    return paths


def _follow_ink(
    runs: Runs, path: Int64[np.ndarray, " columns"], free: Bool[np.ndarray, " runs"], columns: range
) -> None:
    """Take free ink that touches what the path has a column before, as far as it goes through the gap in `columns`."""
    for column in columns:
        last = path[column - columns.step]
        here, common = runs.common(column, runs.top[last], runs.bottom[last])
        common[~free[here]] = -1.0
        if path[column] != GAP or not len(here) or common.max() < 0.0:
            return
        path[column] = here[common.argmax()]
        free[path[column]] = False


def _without_scraps(rows: list[RowTrace]) -> tuple[RowTrace, ...]:
    """Leave out rows with much less ink than the others have: an edge of the paper, a pen's underline."""
    inked = np.array([np.isfinite(row.y).sum() for row in rows])
    return tuple(row for row, columns in zip(rows, inked, strict=True) if columns >= MIN_PART * np.median(inked))


def _without_islands(path: Int64[np.ndarray, " columns"], px_per_mm_x: float) -> Int64[np.ndarray, " columns"]:
    """Drop short pieces at either end that stand apart from the row: a letter, a speck."""
    path = path.copy()
    for view in (path, path[::-1]):
        while True:
            at = np.flatnonzero(view != GAP)
            if not len(at):
                break
            breaks = np.flatnonzero(np.diff(at) > ISLAND_GAP_MM * px_per_mm_x)
            if not len(breaks) or at[breaks[0]] - at[0] > ISLAND_MM * px_per_mm_x:
                break
            view[: at[breaks[0]] + 1] = GAP
    return path


def _row_of(
    runs: Runs, path: Int64[np.ndarray, " columns"], level: float, number: int, shared: Int64[np.ndarray, "2 runs"]
) -> RowTrace | None:
    at = path != GAP
    if not at.any():
        return None
    y, top, bottom = (np.full(len(path), np.nan) for _ in range(3))
    y[at], top[at], bottom[at] = runs.centre[path[at]], runs.top[path[at]], runs.bottom[path[at]]
    side = np.full(len(path), ALONE)
    side[at] = side_of(number, shared[:, path[at]])
    y, top, bottom = separate_lines(y, top, bottom, side)
    return RowTrace(y, top, bottom, float(level), side != ALONE)
