"""The cheapest path of every row through the runs of ink, all rows together (Viterbi 1967).

A run is a candidate; a step from run to run costs the paper between them (their gap, not the distance of their middles,
so that a steep stroke costs nothing), a column without ink costs a little, and distance from the row's own level costs
more the nearer the neighbouring row is. Where the same lines run on side by side from column to column there is nothing
to choose, so that such a stretch of columns is walked in one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ecg_flare.digitize.trace.overlap import GAP
from ecg_flare.digitize.trace.runs import Runs

HOLE_COST_MM: Final = 0.4  # a column without ink, at 8 px/mm
HOLE_BEGIN_MM: Final = 1.0  # to leave the ink at all
LONG_HOLE_COST_MM: Final = 0.06  # the same, once the gap is longer than LONG_HOLE_MM
LONG_HOLE_MM: Final = 4.0
BAND_COST_MM: Final = 0.03  # at half the distance to the next row; grows with the square
BAND_LIMIT_MM: Final = 0.1  # always less than a gap: ink that can be reached is followed
MIDDLE_COST: Final = 0.01  # share of the distance between the middles of two runs
FOREIGN_COST_MM: Final = 0.3  # a column of a run that is another row's alone
MAX_REWARDED_MM: Final = 3.0
HOLE_SPREAD_PX: Final = 0.3  # a column: a gap forgets where it was entered
STRETCH_MM: Final = 1.0
APART_MM: Final = 1.0  # lines nearer than this may be taken for each other


@dataclass(frozen=True, eq=False)
class Stretches:
    """The columns cut into stretches of `edges[s]` to `edges[s + 1]`, in each of which the same runs go on.

    `columns[s]` runs stand in every column of stretch s, and the k-th one touches the k-th of the next column alone.
    """

    edges: Int64[np.ndarray, " stretches_plus_1"]
    count: Int64[np.ndarray, " stretches"]


def find_stretches(runs: Runs, apart_px: float, max_columns: int) -> Stretches:
    """Return stretches of at most so many columns in which the same runs go on, all `apart_px` from the other ones."""
    count = np.diff(runs.start)
    same = count[:-1] == count[1:]
    here = np.flatnonzero(np.repeat(np.append(same, False), count))
    there = here + count[runs.column[here]]
    apart = (runs.top[there] > runs.bottom[here]) | (runs.top[here] > runs.bottom[there])
    inner = here[runs.column[here] == runs.column[np.minimum(here + 1, len(runs.column) - 1)]]
    below, next_below = inner + 1, inner + count[runs.column[inner]] + 1
    gap = runs.top[next_below] - runs.bottom[inner]
    astray = np.minimum(gap, runs.top[below] - runs.bottom[next_below - 1]) < apart_px
    goes_on = same.copy()
    goes_on[runs.column[here[apart]]] = False
    goes_on[runs.column[inner[astray]]] = False
    begins = np.concatenate([[0], np.flatnonzero(~goes_on) + 1])
    since = np.arange(runs.n_columns) - np.repeat(begins, np.diff(np.append(begins, runs.n_columns)))
    edges = np.append(np.flatnonzero(since % max_columns == 0), runs.n_columns)
    return Stretches(edges, count[edges[:-1]])


def row_paths(
    runs: Runs,
    levels: Float64[np.ndarray, "rows columns"],
    px_per_mm_x: float,
    px_per_mm_y: float,
    foreign: Bool[np.ndarray, "rows runs"] | None = None,
    reward: float = 0.0,
) -> Int64[np.ndarray, "rows columns"]:
    """Return for each row and column the index of the run that its cheapest path takes, GAP where it takes none.

    `foreign` marks for each row the runs that are another row's alone; they cost FOREIGN_COST_MM more. `reward` is what
    every millimetre of ink that a path explains takes off its cost: once it is known whose ink is whose.
    """
    stretches = find_stretches(runs, APART_MM * px_per_mm_y, max(1, round(STRETCH_MM * px_per_mm_x)))
    band = _band(runs, levels, px_per_mm_y, foreign, reward) * _density(px_per_mm_x)
    return _expanded(runs, stretches, _walk(runs, stretches, levels, band, px_per_mm_x, px_per_mm_y))


def _density(px_per_mm_x: float) -> float:
    """Return by what a cost of a column, which is told at 8 px/mm, is multiplied so that it is one of a millimetre."""
    return 8.0 / px_per_mm_x


def _band(
    runs: Runs,
    levels: Float64[np.ndarray, "rows columns"],
    px_per_mm_y: float,
    foreign: Bool[np.ndarray, "rows runs"] | None,
    reward: float,
) -> Float64[np.ndarray, "rows runs"]:
    """Return what each run costs each row, whatever it comes from."""
    reach = half_spacing(levels, px_per_mm_y)
    at_run = levels[:, runs.column]
    away = np.maximum(0.0, np.maximum(runs.top[None] - at_run, at_run - runs.bottom[None]))
    band: Float64[np.ndarray, "rows runs"] = np.minimum(BAND_COST_MM * (away / reach[:, None]) ** 2, BAND_LIMIT_MM)
    band -= reward * np.minimum(runs.mass / px_per_mm_y, MAX_REWARDED_MM)
    if foreign is not None:
        band += FOREIGN_COST_MM * foreign
    return band


def _walk(
    runs: Runs,
    stretches: Stretches,
    levels: Float64[np.ndarray, "rows columns"],
    band: Float64[np.ndarray, "rows runs"],
    px_per_mm_x: float,
    px_per_mm_y: float,
) -> Int64[np.ndarray, "rows stretches"]:
    """Return for each row the chain of runs that it takes in each stretch, GAP for none."""
    n_rows = len(levels)
    top, bottom, centre = runs.top / px_per_mm_y, runs.bottom / px_per_mm_y, runs.centre / px_per_mm_y
    density = _density(px_per_mm_x)
    gap_step, long_step = HOLE_COST_MM * density, LONG_HOLE_COST_MM * density
    long_gap = LONG_HOLE_MM * px_per_mm_x
    cost = np.zeros((n_rows, 1))  # the last state is the gap, which carries the extent that it was entered with
    gap_top, gap_bottom = levels[:, 0] / px_per_mm_y - 6.0, levels[:, 0] / px_per_mm_y + 6.0
    gap_length = np.full(n_rows, long_gap + 1)
    back: list[Int64[np.ndarray, "rows states"]] = []
    before = slice(0, 0)
    row_index = np.arange(n_rows)
    for first_column, after_column, n in zip(
        stretches.edges[:-1].tolist(), stretches.edges[1:].tolist(), stretches.count.tolist(), strict=True
    ):
        length = after_column - first_column
        begin, end = int(runs.start[first_column]), int(runs.start[after_column])
        first = slice(begin, begin + n)
        t, b, m = top[first], bottom[first], centre[first]
        pt, pb, pm = top[before], bottom[before], centre[before]
        gap = np.maximum(0.0, np.maximum(t[None] - pb[:, None], pt[:, None] - b[None]))
        step = gap + MIDDLE_COST * np.abs(m[None] - pm[:, None])
        from_gap = np.maximum(0.0, np.maximum(t[None] - gap_bottom[:, None], gap_top[:, None] - b[None]))
        into = np.concatenate([cost[:, :-1, None] + step[None], (cost[:, -1:] + from_gap)[:, None, :]], axis=1)
        choice = into.argmin(axis=1)
        along = band[:, begin:end]
        run_cost = into.min(axis=1) + (along.reshape(n_rows, length, n).sum(axis=1) if length > 1 else along)
        if length > 1 and n:
            run_cost += MIDDLE_COST * np.abs(np.diff(centre[begin:end].reshape(length, n), axis=0)).sum(axis=0)
        short = np.clip(np.floor(long_gap - gap_length) + 1, 0, length)  # columns of the gap that cost in full
        stay = short * gap_step + (length - short) * long_step
        fresh = min(length, int(long_gap) + 1)
        newly = HOLE_BEGIN_MM + fresh * gap_step + (length - fresh) * long_step
        enter = np.concatenate([cost[:, :-1] + newly, (cost[:, -1] + stay)[:, None]], axis=1)
        gap_choice = enter.argmin(axis=1)
        was_gap = gap_choice == enter.shape[1] - 1
        if before.stop > before.start:
            source = np.minimum(gap_choice, before.stop - before.start - 1)
            gap_top = np.where(was_gap, gap_top, pt[source])
            gap_bottom = np.where(was_gap, gap_bottom, pb[source])
        gap_length = np.where(was_gap, gap_length, 0) + length
        # a gap forgets: the line may have moved meanwhile, by about its own length
        spread = HOLE_SPREAD_PX * length / px_per_mm_x
        gap_top, gap_bottom = gap_top - spread, gap_bottom + spread
        back.append(np.concatenate([choice, gap_choice[:, None]], axis=1))
        cost = np.concatenate([run_cost, enter[row_index, gap_choice][:, None]], axis=1)
        cost -= cost.min(axis=1, keepdims=True)
        before = slice(end - n, end)
    return _trace_back(stretches, back, cost)


def _trace_back(
    stretches: Stretches, back: list[Int64[np.ndarray, "rows states"]], cost: Float64[np.ndarray, "rows states"]
) -> Int64[np.ndarray, "rows stretches"]:
    chains = np.full((len(cost), len(back)), GAP, np.int64)
    state = cost.argmin(axis=1)
    index = np.arange(len(cost))
    for s in range(len(back) - 1, -1, -1):
        chains[:, s] = np.where(state < stretches.count[s], state, GAP)
        state = back[s][index, state]
    return chains


def _expanded(
    runs: Runs, stretches: Stretches, chains: Int64[np.ndarray, "rows stretches"]
) -> Int64[np.ndarray, "rows columns"]:
    by_column = np.repeat(chains, np.diff(stretches.edges), axis=1)
    paths: Int64[np.ndarray, "rows columns"] = np.where(by_column == GAP, GAP, runs.start[:-1][None] + by_column)
    return paths


def half_spacing(levels: Float64[np.ndarray, "rows columns"], px_per_mm_y: float) -> Float64[np.ndarray, " rows"]:
    """Return half the distance in pixels from each row to its nearest neighbour."""
    middle = np.median(levels, axis=1)
    if len(middle) == 1:
        return np.array([15.0 * px_per_mm_y])
    distance = np.diff(middle)
    nearest = np.minimum(np.append(distance, np.inf), np.insert(distance, 0, np.inf))
    result: Float64[np.ndarray, " rows"] = np.maximum(nearest / 2, 3.0 * px_per_mm_y)
    return result
