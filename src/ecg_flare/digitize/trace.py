"""Rows of the page, and one sub-pixel line a row: dynamic programming over the runs of ink of each column.

A run is a candidate; a step from run to run costs the paper between them (their gap, not the distance of their middles,
so that a steep stroke costs nothing), a column without ink costs a little, and distance from the row's own level costs
more the nearer the neighbouring row is (Viterbi 1967). All rows are walked together, one pass over the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from ecg_flare.digitize.overlap import ALONE, HOLE, disentangle, foreign_runs, shared_runs, side_of
from ecg_flare.digitize.ranks import foreign_by_rank, rank_levels, rank_rows
from ecg_flare.digitize.runs import Runs, find_runs

HOLE_COST_MM: Final = 0.4  # a column without ink, at 8 px/mm
LONG_HOLE_COST_MM: Final = 0.06  # the same, once the hole is longer than LONG_HOLE_MM
LONG_HOLE_MM: Final = 4.0
BAND_COST_MM: Final = 0.03  # at half the distance to the next row; grows with the square
BAND_LIMIT_MM: Final = 0.1  # always less than a hole: ink that can be reached is followed
MIDDLE_COST: Final = 0.01  # share of the distance between the middles of two runs
FOREIGN_COST_MM: Final = 0.3  # a column of a run that is another row's alone
INK_REWARD: Final = 0.02  # for every millimetre of ink that a column of the path explains
MOST_REWARDED_MM: Final = 3.0
LEVEL_REACH_MM: Final = 25.0  # to either side: a row's level drifts no faster
LEVEL_SIGMA_MM: Final = 1.3
LEAST_ROW_DISTANCE_MM: Final = 7.0
LEAST_ROW_WIDTH_MM: Final = 20.0
LEAST_PART: Final = 0.55  # of the middle row's ink
LEAST_ROW_VOTES: Final = 0.18  # of the strongest row's
TAKING_TURNS: Final = 0.3  # two rows that are both there for less of their way are one


@dataclass(frozen=True, eq=False)
class RowTrace:
    """One row's line: for every pixel column its y, NaN where there is no ink.

    `top` and `bottom` are the extent of the ink that the line runs through, `level_px` the row's resting level.
    """

    y: Float64[np.ndarray, " w"]
    top: Float64[np.ndarray, " w"]
    bottom: Float64[np.ndarray, " w"]
    level_px: float

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
        paths = walk_rows(runs, drifting, px_per_mm_x, px_per_mm_y, foreign=foreign, reward=reward)
        foreign = foreign_runs(runs, paths, drifting)
        if ranks is not None:
            foreign[:, ranks.run.ravel()] = anchored[:, ranks.run.ravel()]
    levels = np.median(drifting, axis=1)
    shared = shared_runs(runs, paths)
    rows = []
    for number, (path, level) in enumerate(zip(paths, levels, strict=True)):
        row = _row_of(runs, _without_islands(path, px_per_mm_x), level, number, shared)
        if row is not None and row.last - row.first > LEAST_ROW_WIDTH_MM * px_per_mm_x:
            rows.append(row)
    return _without_scraps(rows)


def _without_scraps(rows: list[RowTrace]) -> tuple[RowTrace, ...]:
    """Leave out rows with much less ink than the others have: an edge of the paper, a pen's underline."""
    inked = np.array([np.isfinite(row.y).sum() for row in rows])
    return tuple(row for row, columns in zip(rows, inked, strict=True) if columns >= LEAST_PART * np.median(inked))


def _levels_by_walking(
    runs: Runs, height: int, px_per_mm_x: float, px_per_mm_y: float
) -> Float64[np.ndarray, "rows columns"] | None:
    """Return the rows' levels where columns do not agree on their number: walked first at level, then as they drift."""
    levels = find_levels(runs, height, px_per_mm_x, px_per_mm_y)
    if not len(levels):
        return None
    flat = np.repeat(levels[:, None], runs.n_columns, axis=1)
    paths = walk_rows(runs, flat, px_per_mm_x, px_per_mm_y)
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
    peaks, _ = find_peaks(np.pad(smooth, 1), distance=max(1, LEAST_ROW_DISTANCE_MM * px_per_mm_y))
    peaks = peaks - 1
    near = round(3.0 * px_per_mm_y)
    total = np.concatenate([[0.0], np.cumsum(votes)])
    support = total[np.minimum(peaks + near, height)] - total[np.maximum(peaks - near, 0)]
    if not len(support):
        return np.zeros(0)
    strong = (support > LEAST_ROW_VOTES * support.max()) & (support > 0.5 * LEAST_ROW_WIDTH_MM * px_per_mm_x)
    result: Float64[np.ndarray, " rows"] = peaks[strong].astype(np.float64)
    return result


def walk_rows(
    runs: Runs,
    levels: Float64[np.ndarray, "rows columns"],
    px_per_mm_x: float,
    px_per_mm_y: float,
    foreign: Bool[np.ndarray, "rows runs"] | None = None,
    reward: float = 0.0,
) -> Int64[np.ndarray, "rows columns"]:
    """Return for each row and column the index of the run that its cheapest path takes, HOLE where it takes none.

    `foreign` marks for each row the runs that are another row's alone; they cost FOREIGN_COST_MM more. `reward` is what
    every millimetre of ink that a path explains takes off its cost: once it is known whose ink is whose.
    """
    n_rows, n_columns = levels.shape
    reach = _half_spacing(levels, px_per_mm_y)
    top, bottom, centre = runs.top / px_per_mm_y, runs.bottom / px_per_mm_y, runs.centre / px_per_mm_y
    levels_mm, reach_mm = levels / px_per_mm_y, reach / px_per_mm_y
    density = 8.0 / px_per_mm_x  # costs a column are costs a millimetre
    at_run = levels_mm[:, runs.column]
    away = np.maximum(0.0, np.maximum(top[None] - at_run, at_run - bottom[None]))
    band = np.minimum(BAND_COST_MM * (away / reach_mm[:, None]) ** 2, BAND_LIMIT_MM) * density
    band -= reward * density * np.minimum(runs.mass / px_per_mm_y, MOST_REWARDED_MM)
    if foreign is not None:
        band += FOREIGN_COST_MM * density * foreign
    hole_step, long_step = HOLE_COST_MM * density, LONG_HOLE_COST_MM * density
    long_hole = LONG_HOLE_MM * px_per_mm_x
    cost = np.zeros((n_rows, 1))  # the last state is the hole, which carries the extent that it was entered with
    hole_top, hole_bottom = levels_mm[:, 0] - 6.0, levels_mm[:, 0] + 6.0
    hole_length = np.full(n_rows, long_hole + 1)
    back: list[Int64[np.ndarray, "rows states"]] = []
    previous = slice(0, 0)
    row_index = np.arange(n_rows)
    for c in range(n_columns):
        here = slice(int(runs.start[c]), int(runs.start[c + 1]))
        t, b, m = top[here], bottom[here], centre[here]
        pt, pb, pm = top[previous], bottom[previous], centre[previous]
        gap = np.maximum(0.0, np.maximum(t[None] - pb[:, None], pt[:, None] - b[None]))
        step = gap + MIDDLE_COST * np.abs(m[None] - pm[:, None])
        from_hole = np.maximum(0.0, np.maximum(t[None] - hole_bottom[:, None], hole_top[:, None] - b[None]))
        into = np.concatenate([cost[:, :-1, None] + step[None], (cost[:, -1:] + from_hole)[:, None, :]], axis=1)
        choice = into.argmin(axis=1)
        run_cost = into.min(axis=1) + band[:, here]
        stay = np.where(hole_length > long_hole, long_step, hole_step)
        enter = np.concatenate([cost[:, :-1] + hole_step, (cost[:, -1] + stay)[:, None]], axis=1)
        hole_choice = enter.argmin(axis=1)
        was_hole = hole_choice == enter.shape[1] - 1
        if previous.stop > previous.start:
            source = np.minimum(hole_choice, previous.stop - previous.start - 1)
            hole_top = np.where(was_hole, hole_top, pt[source])
            hole_bottom = np.where(was_hole, hole_bottom, pb[source])
        hole_length = np.where(was_hole, hole_length + 1, 1)
        # a hole forgets: the line may have moved meanwhile, by about its own length
        hole_top, hole_bottom = hole_top - 0.3 / px_per_mm_x, hole_bottom + 0.3 / px_per_mm_x
        back.append(np.concatenate([choice, hole_choice[:, None]], axis=1))
        cost = np.concatenate([run_cost, enter[row_index, hole_choice][:, None]], axis=1)
        cost -= cost.min(axis=1, keepdims=True)
        previous = here
    return _trace_back(runs, back, cost)


def _trace_back(
    runs: Runs, back: list[Int64[np.ndarray, "rows states"]], cost: Float64[np.ndarray, "rows states"]
) -> Int64[np.ndarray, "rows columns"]:
    n_rows, n_columns = cost.shape[0], len(back)
    paths = np.full((n_rows, n_columns), HOLE, np.int64)
    state = cost.argmin(axis=1)
    index = np.arange(n_rows)
    for c in range(n_columns - 1, -1, -1):
        count = runs.start[c + 1] - runs.start[c]
        paths[:, c] = np.where(state < count, runs.start[c] + state, HOLE)
        state = back[c][index, state]
    return paths


def _half_spacing(levels: Float64[np.ndarray, "rows columns"], px_per_mm_y: float) -> Float64[np.ndarray, " rows"]:
    """Return half the distance from each row to its nearest neighbour."""
    middle = np.median(levels, axis=1)
    if len(middle) == 1:
        return np.array([15.0 * px_per_mm_y])
    distance = np.diff(middle)
    nearest = np.minimum(np.append(distance, np.inf), np.insert(distance, 0, np.inf))
    result: Float64[np.ndarray, " rows"] = np.maximum(nearest / 2, 3.0 * px_per_mm_y)
    return result


def _distinct(paths: Int64[np.ndarray, "rows columns"], px_per_mm_x: float) -> list[int]:
    """Return the rows that run through ink of their own, the best covered of any that share most of their runs."""
    taken = (paths != HOLE).sum(axis=1)
    kept: list[int] = []
    for k in np.argsort(-taken, kind="stable"):
        if taken[k] < 0.5 * LEAST_ROW_WIDTH_MM * px_per_mm_x:
            continue
        shared = max((((paths[k] == paths[j]) & (paths[k] != HOLE)).sum() / taken[k] for j in kept), default=0.0)
        if shared < 0.4:
            kept.append(int(k))
    return sorted(kept)


def _drifting_level(
    runs: Runs, path: Int64[np.ndarray, " columns"], px_per_mm_x: float
) -> Float64[np.ndarray, " columns"]:
    """Return the row's resting level along the page: the running median of its path over 50 mm."""
    at = np.flatnonzero(path != HOLE)
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
    rows = [paths[k] for k in np.argsort([np.median(runs.centre[path[path != HOLE]]) for path in paths])]
    k = 0
    while k + 1 < len(rows):
        upper, lower = rows[k] != HOLE, rows[k + 1] != HOLE
        both = (upper & lower & (rows[k] != rows[k + 1])).sum()
        if both < TAKING_TURNS * min(upper.sum(), lower.sum()):
            longer, other = (k, k + 1) if upper.sum() >= lower.sum() else (k + 1, k)
            rows[k : k + 2] = [np.where(rows[longer] != HOLE, rows[longer], rows[other])]
        else:
            k += 1
    return np.stack(rows)


def _without_islands(path: Int64[np.ndarray, " columns"], px_per_mm_x: float) -> Int64[np.ndarray, " columns"]:
    """Drop short pieces at either end that stand apart from the row: a letter, a speck."""
    path = path.copy()
    for view in (path, path[::-1]):
        while True:
            at = np.flatnonzero(view != HOLE)
            if not len(at):
                break
            breaks = np.flatnonzero(np.diff(at) > 2.0 * px_per_mm_x)
            if not len(breaks) or at[breaks[0]] - at[0] > 6.0 * px_per_mm_x:
                break
            view[: at[breaks[0]] + 1] = HOLE
    return path


def _row_of(
    runs: Runs, path: Int64[np.ndarray, " columns"], level: float, number: int, shared: Int64[np.ndarray, "2 runs"]
) -> RowTrace | None:
    at = path != HOLE
    if not at.any():
        return None
    y, top, bottom = (np.full(len(path), np.nan) for _ in range(3))
    y[at], top[at], bottom[at] = runs.centre[path[at]], runs.top[path[at]], runs.bottom[path[at]]
    side = np.full(len(path), ALONE)
    side[at] = side_of(number, shared[:, path[at]])
    y, top, bottom = disentangle(y, top, bottom, side)
    return RowTrace(y, top, bottom, float(level))
