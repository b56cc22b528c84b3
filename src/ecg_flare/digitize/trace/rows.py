"""Rows of the page, and one sub-pixel line a row: whose runs of ink are whose, settled in a few walks of all rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from ecg_flare.digitize.trace.overlap import ALONE, GAP, disentangle, foreign_runs, shared_runs, side_of
from ecg_flare.digitize.trace.path import row_paths
from ecg_flare.digitize.trace.ranks import foreign_by_rank, rank_levels, rank_rows
from ecg_flare.digitize.trace.runs import Runs, find_runs

INK_REWARD: Final = 0.02  # for every millimetre of ink that a column of the path explains
LEVEL_REACH_MM: Final = 25.0  # to either side: a row's level drifts no faster
LEVEL_SIGMA_MM: Final = 1.3
MIN_ROW_DISTANCE_MM: Final = 7.0
MIN_ROW_WIDTH_MM: Final = 20.0
MIN_PART: Final = 0.55  # of the middle row's ink
MIN_ROW_VOTES: Final = 0.18  # of the strongest row's
MAX_FILLED_MM: Final = 5.0
TAKING_TURNS: Final = 0.3  # two rows that are both there for less of their way are one


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
        return int(np.flatnonzero(np.isfinite(self.y))[0])

    @property
    def last(self) -> int:
        return int(np.flatnonzero(np.isfinite(self.y))[-1])

    @property
    def coverage(self) -> float:
        """Share of the columns between the first and the last that have ink."""
        return float(np.isfinite(self.y[self.first : self.last + 1]).mean())


def trace_rows(ink: Float32[np.ndarray, "h w"], px_per_mm_x: float, px_per_mm_y: float) -> tuple[RowTrace, ...]:
    """Return the rows of a page from top to bottom; empty if nothing is long enough to be one."""
    runs = find_runs(ink)
    ranks = rank_rows(runs)
    ranked = rank_levels(runs, ranks, LEVEL_REACH_MM * px_per_mm_x) if ranks is not None else None
    if ranks is not None and ranked is not None:
        drifting, anchored = ranked, foreign_by_rank(runs, ranks)
    else:
        ranks = None
        found = _levels_by_walking(runs, ink.shape[0], px_per_mm_x, px_per_mm_y)
        if found is None:
            return ()
        drifting, anchored = found, np.zeros((len(found), len(runs.centre)), bool)
    # whose ink is whose settles in two walks; the third may then be drawn to the ink that nobody else claims
    foreign = anchored
    for reward in (0.0, 0.0, INK_REWARD):
        paths = row_paths(runs, drifting, px_per_mm_x, px_per_mm_y, foreign=foreign, reward=reward)
        foreign = foreign_runs(runs, paths, drifting)
        if ranks is not None:
            foreign[:, ranks.run.ravel()] = anchored[:, ranks.run.ravel()]
    paths = fill_gaps(runs, paths, round(MAX_FILLED_MM * px_per_mm_x))
    levels = np.median(drifting, axis=1)
    shared = shared_runs(runs, paths)
    rows = []
    for number, (path, level) in enumerate(zip(paths, levels, strict=True)):
        row = _row_of(runs, _without_islands(path, px_per_mm_x), level, number, shared)
        if row is not None and row.last - row.first > MIN_ROW_WIDTH_MM * px_per_mm_x:
            rows.append(row)
    return _without_scraps(rows)


def fill_gaps(
    runs: Runs, paths: Int64[np.ndarray, "rows columns"], max_columns: int
) -> Int64[np.ndarray, "rows columns"]:
    """Return the paths with short gaps filled from both sides, by ink that nobody takes and that hangs together.

    Where one lead ends and the next one begins elsewhere, a gap costs a walk less than the leap, and may take the
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


def _levels_by_walking(
    runs: Runs, height: int, px_per_mm_x: float, px_per_mm_y: float
) -> Float64[np.ndarray, "rows columns"] | None:
    """Return the rows' levels where columns do not agree on their number: walked first at level, then as they drift."""
    levels = find_levels(runs, height, px_per_mm_x, px_per_mm_y)
    if not len(levels):
        return None
    flat = np.repeat(levels[:, None], runs.n_columns, axis=1)
    paths = row_paths(runs, flat, px_per_mm_x, px_per_mm_y)
    paths = paths[_distinct(paths, px_per_mm_x)]
    if not len(paths):
        return None
    paths = _merge_pieces(runs, paths)
    return np.stack([_drifting_level(runs, path, px_per_mm_x) for path in paths])


def find_levels(runs: Runs, height: int, px_per_mm_x: float, px_per_mm_y: float) -> Float64[np.ndarray, " rows"]:
    """Return the y at which rows rest: peaks of the vote that every column gives to the middle of each of its runs."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    extent = runs.bottom - runs.top
    votes = np.bincount(
        np.clip(np.round(runs.centre), 0, height - 1).astype(int),
        weights=np.minimum(1.0, px_per_mm_y / np.maximum(extent, 1e-3)),
        minlength=height,
    )
    smooth = gaussian_filter1d(votes, LEVEL_SIGMA_MM * px_per_mm_y, mode="constant")
    peaks, _ = find_peaks(np.pad(smooth, 1), distance=max(1, MIN_ROW_DISTANCE_MM * px_per_mm_y))
    peaks = peaks - 1
    near = round(3.0 * px_per_mm_y)
    total = np.concatenate([[0.0], np.cumsum(votes)])
    support = total[np.minimum(peaks + near, height)] - total[np.maximum(peaks - near, 0)]
    if not len(support):
        return np.zeros(0)
    strong = (support > MIN_ROW_VOTES * support.max()) & (support > 0.5 * MIN_ROW_WIDTH_MM * px_per_mm_x)
    result: Float64[np.ndarray, " rows"] = peaks[strong].astype(np.float64)
    return result


def _distinct(paths: Int64[np.ndarray, "rows columns"], px_per_mm_x: float) -> list[int]:
    """Return the rows that run through ink of their own, the best covered of any that share most of their runs."""
    taken = (paths != GAP).sum(axis=1)
    kept: list[int] = []
    for k in np.argsort(-taken, kind="stable"):
        if taken[k] < 0.5 * MIN_ROW_WIDTH_MM * px_per_mm_x:
            continue
        shared = max((((paths[k] == paths[j]) & (paths[k] != GAP)).sum() / taken[k] for j in kept), default=0.0)
        if shared < 0.4:
            kept.append(int(k))
    return sorted(kept)


def _drifting_level(
    runs: Runs, path: Int64[np.ndarray, " columns"], px_per_mm_x: float
) -> Float64[np.ndarray, " columns"]:
    """Return the row's resting level along the page: the running median of its path over 50 mm."""
    at = np.flatnonzero(path != GAP)
    y = runs.centre[path[at]]
    width = round(LEVEL_REACH_MM * px_per_mm_x)
    knots = np.arange(0, len(path), max(1, round(10 * px_per_mm_x)))
    places, values = [], []
    for knot in knots:
        near = y[np.searchsorted(at, knot - width) : np.searchsorted(at, knot + width)]
        if len(near) > width // 2:
            places.append(knot)
            values.append(np.median(near))
    if not values:
        return np.full(len(path), np.median(y))
    result: Float64[np.ndarray, " columns"] = np.interp(np.arange(len(path)), places, values)
    return result


def _merge_pieces(runs: Runs, paths: Int64[np.ndarray, "rows columns"]) -> Int64[np.ndarray, "rows columns"]:
    """Join rows that take turns: a line that wanders rests at two levels, and is found at each in turn."""
    rows = [paths[k] for k in np.argsort([np.median(runs.centre[path[path != GAP]]) for path in paths])]
    k = 0
    while k + 1 < len(rows):
        upper, lower = rows[k] != GAP, rows[k + 1] != GAP
        both = (upper & lower & (rows[k] != rows[k + 1])).sum()
        if both < TAKING_TURNS * min(upper.sum(), lower.sum()):
            longer, other = (k, k + 1) if upper.sum() >= lower.sum() else (k + 1, k)
            rows[k : k + 2] = [np.where(rows[longer] != GAP, rows[longer], rows[other])]
        else:
            k += 1
    return np.stack(rows)


def _without_islands(path: Int64[np.ndarray, " columns"], px_per_mm_x: float) -> Int64[np.ndarray, " columns"]:
    """Drop short pieces at either end that stand apart from the row: a letter, a speck."""
    path = path.copy()
    for view in (path, path[::-1]):
        while True:
            at = np.flatnonzero(view != GAP)
            if not len(at):
                break
            breaks = np.flatnonzero(np.diff(at) > 2.0 * px_per_mm_x)
            if not len(breaks) or at[breaks[0]] - at[0] > 6.0 * px_per_mm_x:
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
    y, top, bottom = disentangle(y, top, bottom, side)
    return RowTrace(y, top, bottom, float(level), side != ALONE)
