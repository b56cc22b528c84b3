"""Rows that cross: whose run is whose, and where a line runs inside ink that it shares with another.

A tall QRS reaches into the row above or below. Where the two lines touch, their ink is one run, and neither its middle
nor its ends belong to one of them. There each line goes on as it entered and left: strokes are straight over the few
columns that they share.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ecg_flare.digitize.ranks import thin_runs
from ecg_flare.digitize.runs import Runs

HOLE: Final = -1
SLOPE_COLUMNS: Final = 2
MOST_COLUMNS: Final = 40  # a longer common stretch is one line that two rows claim, not a crossing


def foreign_runs(
    runs: Runs, paths: Int64[np.ndarray, "rows columns"], levels: Float64[np.ndarray, "rows columns"]
) -> Bool[np.ndarray, "rows runs"]:
    """Return for each row the runs that are another row's: taken by it alone, or thin and nearer to its level."""
    n_runs = len(runs.centre)
    thin = thin_runs(runs)
    nearest, owner = np.full(n_runs, np.inf), np.full(n_runs, HOLE)
    for row, path in enumerate(paths):
        at = np.flatnonzero(path != HOLE)
        taken = path[at]
        distance = np.abs(runs.centre[taken] - levels[row, at])
        nearer = distance < nearest[taken]
        nearest[taken[nearer]], owner[taken[nearer]] = distance[nearer], row
    alone = np.bincount(paths[paths != HOLE], minlength=n_runs) == 1
    rows = np.arange(len(paths))[:, None]
    others: Bool[np.ndarray, "rows runs"] = (thin | alone)[None] & (owner[None] != HOLE) & (owner[None] != rows)
    return others


def shared_runs(runs: Runs, paths: Int64[np.ndarray, "rows columns"]) -> Bool[np.ndarray, " runs"]:
    """Return the runs that more than one row takes."""
    taken = np.bincount(paths[paths != HOLE], minlength=len(runs.centre))
    return taken > 1


def disentangle(
    y: Float64[np.ndarray, " w"],
    top: Float64[np.ndarray, " w"],
    bottom: Float64[np.ndarray, " w"],
    crowded: Bool[np.ndarray, " w"],
) -> tuple[Float64[np.ndarray, " w"], Float64[np.ndarray, " w"], Float64[np.ndarray, " w"]]:
    """Return a row's y and ink extents with its line drawn straight through the columns that it shares."""
    y, top, bottom = y.copy(), top.copy(), bottom.copy()
    columns = np.flatnonzero(crowded)
    if not len(columns) or crowded.all():
        return y, top, bottom
    pen = float(np.nanpercentile(bottom - top, 25)) / 2
    for block in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
        if len(block) > MOST_COLUMNS:
            continue
        line = _through(y, crowded, block)
        if line is None:
            continue
        line = np.clip(line, top[block] + pen, np.maximum(bottom[block] - pen, top[block] + pen))
        edges = np.interp(
            np.concatenate([block - 0.5, block + 0.5]),
            np.arange(block[0] - 1, block[-1] + 2),
            _with_ends(y, block, line),
        ).reshape(2, -1)
        y[block], top[block], bottom[block] = line, edges.min(axis=0) - pen, edges.max(axis=0) + pen
    return y, top, bottom


def _with_ends(
    y: Float64[np.ndarray, " w"], block: Int64[np.ndarray, " k"], line: Float64[np.ndarray, " k"]
) -> Float64[np.ndarray, " k_plus_2"]:
    before = y[block[0] - 1] if block[0] > 0 else np.nan
    after = y[block[-1] + 1] if block[-1] + 1 < len(y) else np.nan
    ends = np.concatenate([[before], line, [after]])
    ends[0] = line[0] if np.isnan(ends[0]) else ends[0]
    ends[-1] = line[-1] if np.isnan(ends[-1]) else ends[-1]
    return ends


def _through(
    y: Float64[np.ndarray, " w"], crowded: Bool[np.ndarray, " w"], block: Int64[np.ndarray, " k"]
) -> Float64[np.ndarray, " k"] | None:
    """Return the line through a block of shared columns, from the columns of its own on both sides."""
    left, right = _own(y, crowded, int(block[0]) - 1, -1), _own(y, crowded, int(block[-1]) + 1, 1)
    if left is None or right is None:
        return None
    (x0, y0, slope0), (x1, y1, slope1) = left, right
    from_left, from_right = y0 + slope0 * (block - x0), y1 + slope1 * (block - x1)
    straight = y0 + (y1 - y0) * (block - x0) / (x1 - x0)
    if slope0 > 0 > slope1:  # down and up again: the tip is where the strokes meet
        return np.maximum(np.minimum(from_left, from_right), straight)
    if slope0 < 0 < slope1:
        return np.minimum(np.maximum(from_left, from_right), straight)
    return straight


def _own(
    y: Float64[np.ndarray, " w"], crowded: Bool[np.ndarray, " w"], first: int, step: int
) -> tuple[int, float, float] | None:
    """Return x, y and slope at the end of the row's own ink beside a block; None where it has none."""
    if not 0 <= first < len(y) or np.isnan(y[first]):
        return None
    last = first
    for _ in range(SLOPE_COLUMNS):
        following = last + step
        if not 0 <= following < len(y) or np.isnan(y[following]) or crowded[following]:
            break
        last = following
    slope = (y[last] - y[first]) / (last - first) if last != first else 0.0
    return first, float(y[first]), float(slope)
