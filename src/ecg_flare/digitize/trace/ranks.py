"""Rows by their order: where every line of a column is thin and there are as many as rows, the k-th is row k.

Between the beats lines rest far from each other and keep their order, whatever the base line does. Most columns of a
page are like that, so that they tell how many rows there are, and anchor each row on both sides of every crossing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ecg_flare.digitize.trace.pen import pen_width_px
from ecg_flare.digitize.trace.runs import Runs

THIN: Final = 2.5  # pens: a thinner run cannot hold two lines side by side
MIN_SHARE: Final = 0.25  # of the inked columns that must agree on the number of rows
LARGEST_LEAP: Final = 0.6  # of the distance of rows, from one window to the next
CLEAR_LEAD: Final = 1.3  # how much commoner than the next number it must be


@dataclass(frozen=True, eq=False)
class Ranks:
    """Anchors of the rows: `run[k, i]` is the run of row k in the i-th anchored column, `column[i]`."""

    column: Int64[np.ndarray, " anchors"]
    run: Int64[np.ndarray, "rows anchors"]

    @property
    def n_rows(self) -> int:
        return len(self.run)


def thin_runs(runs: Runs) -> Bool[np.ndarray, " runs"]:
    """Return which runs are too thin for two lines."""
    extent = runs.bottom - runs.top
    thin: Bool[np.ndarray, " runs"] = extent < THIN * pen_width_px([extent]) if len(extent) else extent > 0
    return thin


def rank_rows(runs: Runs) -> Ranks | None:
    """Return the rows by rank, or None if the columns do not agree on how many there are."""
    count = np.diff(runs.start)
    n_thin = np.bincount(runs.column[thin_runs(runs)], minlength=runs.n_columns)
    resting = (count > 0) & (n_thin == count)
    if not resting.any():
        return None
    votes = np.bincount(count[resting])
    n_rows = int(votes.argmax())
    others = np.delete(votes, n_rows)
    if votes[n_rows] < MIN_SHARE * (count > 0).sum() or votes[n_rows] < CLEAR_LEAD * others.max(initial=0):
        return None
    column = np.flatnonzero(resting & (count == n_rows))
    return Ranks(column, runs.start[column][None] + np.arange(n_rows)[:, None])


def rank_levels(runs: Runs, ranks: Ranks, reach_px: float) -> Float64[np.ndarray, "rows columns"] | None:
    """Return every row's resting level along the page: the running median of its anchors, `reach_px` to either side.

    None if a row's level leaps by half the distance of rows: then as many lines were counted, but not the same ones (an
    edge of the paper above for a part of the way, and one below for the rest).
    """
    knots = np.arange(0, runs.n_columns, max(1, round(reach_px / 2)))
    y = runs.centre[ranks.run]
    first, after = np.searchsorted(ranks.column, knots - reach_px), np.searchsorted(ranks.column, knots + reach_px)
    known = np.flatnonzero(after - first >= reach_px / 5)
    if not len(known):
        return np.repeat(np.median(y, axis=1)[:, None], runs.n_columns, axis=1)
    medians = np.stack([np.median(y[:, first[k] : after[k]], axis=1) for k in known], axis=1)
    leap = float(np.abs(np.diff(medians, axis=1)).max(initial=0.0))
    if len(y) > 1 and leap > LARGEST_LEAP * float(np.median(np.diff(medians, axis=0))):
        return None
    columns = np.arange(runs.n_columns)
    return np.stack([np.interp(columns, knots[known], row) for row in medians])


def foreign_by_rank(runs: Runs, ranks: Ranks) -> Bool[np.ndarray, "rows runs"]:
    """Return for each row the runs that are anchors of another."""
    foreign = np.zeros((ranks.n_rows, len(runs.centre)), bool)
    foreign[:, ranks.run.ravel()] = True
    for row, own in enumerate(ranks.run):
        foreign[row, own] = False
    return foreign
