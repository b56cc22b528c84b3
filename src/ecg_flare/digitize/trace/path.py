"""The cheapest path of every row through the runs of ink, all rows together (Viterbi 1967).

A run is a candidate. A step from run to run costs the paper between them (their gap, not the distance of their middles,
so that a steep stroke costs nothing). A column without ink costs a little. Distance from the row's own level costs more
the nearer the neighbouring row is. Where the same lines go on side by side from column to column there is nothing to
choose, so that the path takes such a stretch of columns in one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ecg_flare.digitize.trace.runs import GAP, Runs
from ecg_flare.digitize.units import PxPerMm

GAP_COST_MM: Final = 0.4  # a column without ink, at 8 px/mm
GAP_BEGIN_MM: Final = 1.0  # to leave the ink at all
LONG_GAP_COST_MM: Final = 0.06  # a column without ink, once the gap is longer than LONG_GAP_MM
LONG_GAP_MM: Final = 4.0
BAND_COST_MM: Final = 0.03  # at half the distance to the next row; grows with the square
BAND_LIMIT_MM: Final = 0.1  # always less than a gap: ink that can be reached is followed
MIDDLE_COST: Final = 0.01  # share of the distance between the middles of two runs
FOREIGN_COST_MM: Final = 0.3  # a column of a run that is another row's alone
MAX_REWARDED_MM: Final = 3.0
GAP_SPREAD_PX: Final = 0.3  # a column: a gap forgets where the path entered it
STRETCH_MM: Final = 1.0
APART_MM: Final = 1.0  # lines nearer than this may be taken for each other
COSTS_PX_PER_MM: Final = 8.0  # the scale at which the costs of a column are stated


@dataclass(frozen=True, eq=False)
class Stretches:
    """The columns cut into stretches of `edges[s]` to `edges[s + 1]`, in each of which the same runs go on.

    `count[s]` runs stand in every column of stretch s, and the k-th one touches the k-th of the next column alone.
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
    scale: PxPerMm,
    foreign: Bool[np.ndarray, "rows runs"] | None = None,
    reward: float = 0.0,
) -> Int64[np.ndarray, "rows columns"]:
    """Return for each row and column the index of the run that its cheapest path takes, GAP where it takes none.

    `levels` are the rows' resting levels in pixels. `foreign` marks for each row the runs that are another row's alone;
    they cost FOREIGN_COST_MM more. `reward` is what every millimetre of ink that a path explains takes off its cost:
    once it is known whose ink is whose.
    """
    stretches = find_stretches(runs, APART_MM * scale.y, max(1, round(STRETCH_MM * scale.x)))
    costs = _run_costs(runs, levels, scale, foreign, reward) * _density(scale)
    return _expanded(runs, stretches, _cheapest_chains(runs, stretches, levels, costs, scale))


def _density(scale: PxPerMm) -> float:
    """Return the factor that turns the cost of a column, stated at COSTS_PX_PER_MM, into the cost at this scale."""
    return COSTS_PX_PER_MM / scale.x


def _run_costs(
    runs: Runs,
    levels: Float64[np.ndarray, "rows columns"],
    scale: PxPerMm,
    foreign: Bool[np.ndarray, "rows runs"] | None,
    reward: float,
) -> Float64[np.ndarray, "rows runs"]:
    """Return what each run costs each row, whatever it comes from."""
    reach = half_spacing(levels, scale.y)
    at_run = levels[:, runs.column]
    away = np.maximum(0.0, np.maximum(runs.top[None] - at_run, at_run - runs.bottom[None]))
    costs: Float64[np.ndarray, "rows runs"] = np.minimum(BAND_COST_MM * (away / reach[:, None]) ** 2, BAND_LIMIT_MM)
    costs -= reward * np.minimum(runs.mass / scale.y, MAX_REWARDED_MM)
    if foreign is not None:
        costs += FOREIGN_COST_MM * foreign
    return costs


@dataclass(frozen=True, eq=False)
class _Extents:
    """Runs in millimetres."""

    top: Float64[np.ndarray, " n"]
    bottom: Float64[np.ndarray, " n"]
    centre: Float64[np.ndarray, " n"]

    def part(self, where: slice) -> _Extents:
        return _Extents(self.top[where], self.bottom[where], self.centre[where])


@dataclass(frozen=True)
class _GapCosts:
    """What columns without ink cost at one scale; the first `long_columns` of a gap cost more than the later ones."""

    step: float
    long_step: float
    long_columns: float
    px_per_mm_x: float

    @classmethod
    def at(cls, scale: PxPerMm) -> _GapCosts:
        density = _density(scale)
        return cls(GAP_COST_MM * density, LONG_GAP_COST_MM * density, LONG_GAP_MM * scale.x, scale.x)

    def enter(self, length: int) -> float:
        """Return the cost of leaving the ink for a stretch of columns."""
        fresh = min(length, int(self.long_columns) + 1)
        return GAP_BEGIN_MM + fresh * self.step + (length - fresh) * self.long_step

    def stay(self, so_far: Float64[np.ndarray, " rows"], length: int) -> Float64[np.ndarray, " rows"]:
        """Return the cost of a stretch of columns in a gap that is `so_far` columns long."""
        short = np.clip(np.floor(self.long_columns - so_far) + 1, 0, length)
        cost: Float64[np.ndarray, " rows"] = short * self.step + (length - short) * self.long_step
        return cost


@dataclass(frozen=True, eq=False)
class _Gap:
    """The gap that each row may be in: the extent in millimetres that its path left the ink at, its length in columns.

    The line may have moved since then by about the gap's own length, so that the extent widens with it.
    """

    top: Float64[np.ndarray, " rows"]
    bottom: Float64[np.ndarray, " rows"]
    length: Float64[np.ndarray, " rows"]

    def after(self, before: _Extents, choice: Int64[np.ndarray, " rows"], length: int, px_per_mm_x: float) -> _Gap:
        """Return the gap after a stretch; `choice` is the run that each row came from, the number of runs for none."""
        n_before = len(before.top)
        was_gap = choice == n_before
        top, bottom = self.top, self.bottom
        if n_before:
            source = np.minimum(choice, n_before - 1)
            top = np.where(was_gap, top, before.top[source])
            bottom = np.where(was_gap, bottom, before.bottom[source])
        spread = GAP_SPREAD_PX * length / px_per_mm_x
        return _Gap(top - spread, bottom + spread, np.where(was_gap, self.length, 0) + length)


def _cheapest_chains(
    runs: Runs,
    stretches: Stretches,
    levels: Float64[np.ndarray, "rows columns"],
    costs: Float64[np.ndarray, "rows runs"],
    scale: PxPerMm,
) -> Int64[np.ndarray, "rows stretches"]:
    """Return for each row the chain of runs that it takes in each stretch, GAP for none.

    The states of a stretch are its runs and, as the last one, the gap.
    """
    ink = _Extents(runs.top / scale.y, runs.bottom / scale.y, runs.centre / scale.y)
    gap_costs = _GapCosts.at(scale)
    level = levels[:, 0] / scale.y
    gap = _Gap(level - 6.0, level + 6.0, np.full(len(levels), gap_costs.long_columns + 1))
    cost = np.zeros((len(levels), 1))
    before = ink.part(slice(0, 0))
    rows = np.arange(len(levels))
    back: list[Int64[np.ndarray, "rows states"]] = []
    for first_column, after_column, n in zip(
        stretches.edges[:-1].tolist(), stretches.edges[1:].tolist(), stretches.count.tolist(), strict=True
    ):
        length = after_column - first_column
        begin, end = int(runs.start[first_column]), int(runs.start[after_column])
        into = _into_runs(cost, before, gap, ink.part(slice(begin, begin + n)))
        run_cost = _followed(into.min(axis=1), costs[:, begin:end], ink.centre[begin:end], length)
        enter = np.concatenate(
            [cost[:, :-1] + gap_costs.enter(length), (cost[:, -1] + gap_costs.stay(gap.length, length))[:, None]],
            axis=1,
        )
        gap_choice = enter.argmin(axis=1)
        gap = gap.after(before, gap_choice, length, scale.x)
        back.append(np.concatenate([into.argmin(axis=1), gap_choice[:, None]], axis=1))
        cost = np.concatenate([run_cost, enter[rows, gap_choice][:, None]], axis=1)
        cost -= cost.min(axis=1, keepdims=True)
        before = ink.part(slice(end - n, end))
    return _trace_back(stretches, back, cost)


def _into_runs(
    cost: Float64[np.ndarray, "rows states"], before: _Extents, gap: _Gap, first: _Extents
) -> Float64[np.ndarray, "rows states n"]:
    """Return what it costs each row to get from each state before to each of a stretch's first runs."""
    apart = np.maximum(
        0.0, np.maximum(first.top[None] - before.bottom[:, None], before.top[:, None] - first.bottom[None])
    )
    step = apart + MIDDLE_COST * np.abs(first.centre[None] - before.centre[:, None])
    from_gap = np.maximum(0.0, np.maximum(first.top[None] - gap.bottom[:, None], gap.top[:, None] - first.bottom[None]))
    return np.concatenate([cost[:, :-1, None] + step[None], (cost[:, -1:] + from_gap)[:, None, :]], axis=1)


def _followed(
    cost: Float64[np.ndarray, "rows n"],
    costs: Float64[np.ndarray, "rows runs"],
    centre: Float64[np.ndarray, " runs"],
    length: int,
) -> Float64[np.ndarray, "rows n"]:
    """Return the cost with that of following each chain of runs from a stretch's first column to its last."""
    n = len(centre) // length
    along = costs.reshape(len(costs), length, n).sum(axis=1) if length > 1 else costs
    followed: Float64[np.ndarray, "rows n"] = cost + along
    if length > 1 and n:
        followed += MIDDLE_COST * np.abs(np.diff(centre.reshape(length, n), axis=0)).sum(axis=0)
    return followed


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
    """Return half the distance in pixels from each row to its nearest neighbour, at least 3 mm; 15 mm for one row."""
    middle = np.median(levels, axis=1)
    if len(middle) == 1:
        return np.array([15.0 * px_per_mm_y])
    distance = np.diff(middle)
    nearest = np.minimum(np.append(distance, np.inf), np.insert(distance, 0, np.inf))
    result: Float64[np.ndarray, " rows"] = np.maximum(nearest / 2, 3.0 * px_per_mm_y)
    return result
