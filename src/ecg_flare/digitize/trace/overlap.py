"""Rows that cross: whose run is whose, and where a line runs inside ink that it shares with another.

A tall QRS reaches into the row above or below. Where the two lines touch, their ink is one run, and neither its middle
nor both its ends belong to one of them. The upper end is the upper row's and the lower end the lower row's, and a line
that hangs together reaches in every column as far as its edge in the next one. Where an end cannot be its own, the line
goes on as it entered and left: strokes are straight over the few columns that they share.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ecg_flare.digitize.trace.pen import pen_width_px
from ecg_flare.digitize.trace.ranks import thin_runs
from ecg_flare.digitize.trace.runs import GAP, Runs

ALONE, UPPER, LOWER, BETWEEN = 0, 1, 2, 3
"""Where a row stands in a run that it takes: the only one, above all others, below them, or in between."""
SLOPE_COLUMNS: Final = 2
MAX_COLUMNS: Final = 40  # a longer common stretch is one line that two rows claim, not a crossing


def foreign_runs(
    runs: Runs, paths: Int64[np.ndarray, "rows columns"], levels: Float64[np.ndarray, "rows columns"]
) -> Bool[np.ndarray, "rows runs"]:
    """Return for each row the runs that are another row's: taken by it alone, or thin and nearer to its level."""
    n_runs = len(runs.centre)
    thin = thin_runs(runs)
    nearest, owner = np.full(n_runs, np.inf), np.full(n_runs, GAP)
    for row, path in enumerate(paths):
        at = np.flatnonzero(path != GAP)
        taken = path[at]
        distance = np.abs(runs.centre[taken] - levels[row, at])
        nearer = distance < nearest[taken]
        nearest[taken[nearer]], owner[taken[nearer]] = distance[nearer], row
    alone = np.bincount(paths[paths != GAP], minlength=n_runs) == 1
    rows = np.arange(len(paths))[:, None]
    others: Bool[np.ndarray, "rows runs"] = (thin | alone)[None] & (owner[None] != GAP) & (owner[None] != rows)
    return others


def shared_runs(runs: Runs, paths: Int64[np.ndarray, "rows columns"]) -> Int64[np.ndarray, "2 runs"]:
    """Return the uppermost and the lowest row that takes each run; the same one twice where it is not shared."""
    uppermost = np.full(len(runs.centre), len(paths))
    lowest = np.full(len(runs.centre), GAP)
    for row, path in enumerate(paths):
        taken = path[path != GAP]
        uppermost[taken] = np.minimum(uppermost[taken], row)
        lowest[taken] = row
    return np.stack([uppermost, lowest])


def side_of(row: int, shared: Int64[np.ndarray, "2 n"]) -> Int64[np.ndarray, " n"]:
    """Return for runs that a row takes whether it has them alone, above all others, below them, or in between."""
    uppermost, lowest = shared
    side = np.where(uppermost == row, UPPER, np.where(lowest == row, LOWER, BETWEEN))
    result: Int64[np.ndarray, " n"] = np.where(uppermost == lowest, ALONE, side)
    return result


def separate_lines(
    y: Float64[np.ndarray, " w"],
    top: Float64[np.ndarray, " w"],
    bottom: Float64[np.ndarray, " w"],
    side: Int64[np.ndarray, " w"],
) -> tuple[Float64[np.ndarray, " w"], Float64[np.ndarray, " w"], Float64[np.ndarray, " w"]]:
    """Return a row's y and ink extents with its own line told from the others' in the columns that it shares.

    `side` says for every column where the row stands in its run: ALONE, UPPER, LOWER or BETWEEN.
    """
    y, top, bottom = y.copy(), top.copy(), bottom.copy()
    crowded = side != ALONE
    columns = np.flatnonzero(crowded)
    if not len(columns) or crowded.all():
        return y, top, bottom
    pen = pen_width_px([bottom - top]) / 2
    for block in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
        if len(block) > MAX_COLUMNS:
            continue
        if (found := _along_own_edge(top, bottom, side, block, pen)) is not None:
            top[block], bottom[block] = found
            y[block] = (top[block] + bottom[block]) / 2
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


def _along_own_edge(
    top: Float64[np.ndarray, " w"],
    bottom: Float64[np.ndarray, " w"],
    side: Int64[np.ndarray, " w"],
    block: Int64[np.ndarray, " k"],
    half_pen: float,
) -> Float64[np.ndarray, "2 k"] | None:
    """Return top and bottom of the line in a block of shared columns from the one edge that is its own.

    None where the row is not on one side all along, or where another line stands out beyond its edge.
    """
    if (side[block] == UPPER).all():
        return _hanging(top, bottom, block, half_pen)
    if (side[block] == LOWER).all():
        mirrored = _hanging(-bottom, -top, block, half_pen)
        return None if mirrored is None else -mirrored[::-1]
    return None


def _hanging(
    top: Float64[np.ndarray, " w"], bottom: Float64[np.ndarray, " w"], block: Int64[np.ndarray, " k"], half_pen: float
) -> Float64[np.ndarray, "2 k"] | None:
    first, last = int(block[0]), int(block[-1])
    wide = max(1, round(2 * half_pen))  # a pen on a steep stroke inks this many columns beside it
    if (
        first < wide + 1
        or last + wide + 1 >= len(top)
        or not np.isfinite(top[first - wide - 1 : last + wide + 2]).all()
    ):
        return None
    edge = top[block]
    if edge.min() < min(top[first - 1], top[last + 1]) - 2 * half_pen:
        return None  # the other row's peak stands above this row's line
    near = block[:, None] + np.arange(-wide, wide + 1)
    reach = top[near].max(axis=1) + 2 * half_pen
    tip = first + int(edge.argmax())
    fall, rise = top[tip - 1] - top[tip - 2], top[tip + 1] - top[tip + 2]
    if min(fall, rise) > half_pen and top[tip] > max(top[tip - 1], top[tip + 1]):
        # both strokes go on at their last slope and meet within the column
        entered, left = max(top[tip], top[tip - 1] + fall), max(top[tip], top[tip + 1] + rise)
        met = entered + fall * np.clip((left + rise - entered) / (fall + rise), 0.0, 1.0)
        under = np.abs(block - tip) <= wide // 2
        reach[under] = min(met, top[tip] + max(fall, rise)) + half_pen
    return np.stack([edge, np.minimum(bottom[block], reach)])


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
