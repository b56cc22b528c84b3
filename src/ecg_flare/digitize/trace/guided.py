"""A line followed through ink between points that a person clicked."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.trace.refine import refine_row
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.trace.runs import find_runs
from ecg_flare.errors import ConfigError

PAPER_COST: Final = 1.0
INK_COST: Final = 0.02
"""Of a pixel of full ink: fifty of them cost as much as one of paper."""

ROOM: Final = 0.5
"""How far above and below its points a path may go, as a share of their distance along x; at least ROOM_PX."""

ROOM_PX: Final = 60


def follow_points(
    ink: Float32[np.ndarray, "h w"], points: Float64[np.ndarray, "k 2"], pen_px: float
) -> Float64[np.ndarray, "n 2"]:
    """Return the line (x, y) in pixels that runs through the ink, 0 to 1, from point to point.

    The cheapest path through the ink says whose strokes are the line's; the pen is then fitted to those strokes as in
    every row. Where there is no ink the line is the path itself. Raises ConfigError for fewer than two points, or for
    points that do not go from left to right.
    """
    if len(points) < 2 or (np.diff(points[:, 0]) <= 0).any():
        raise ConfigError(f"{len(points)} points do not go from left to right; expected two or more that do")
    height, width = ink.shape
    at = np.round(points).astype(int)
    at = np.stack([np.clip(at[:, 0], 0, width - 1), np.clip(at[:, 1], 0, height - 1)], axis=1)
    left, right = int(at[0, 0]), int(at[-1, 0])
    if right - left < 2:
        raise ConfigError(f"the points lie {right - left} pixels apart along x; expected at least 2")
    y, top, bottom = (np.full(right - left + 1, np.nan) for _ in range(3))
    for first, last in pairwise(at):
        _lay_path(ink, first, last, left, (top, bottom))
    y = (top + bottom) / 2
    _widen_to_strokes(ink[:, left : right + 1], (y, top, bottom), pen_px)
    row = RowTrace(y, top, bottom, float(np.median(y)), np.zeros(len(y), bool))
    line = refine_row(row, pen_px)
    inside = (line[:, 0] >= 0) & (line[:, 0] <= right - left)
    result: Float64[np.ndarray, "n 2"] = line[inside] + np.array([left, 0.0])
    return result


def _lay_path(
    ink: Float32[np.ndarray, "h w"],
    first: Float64[np.ndarray, " 2"],
    last: Float64[np.ndarray, " 2"],
    left: int,
    extents: tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]],
) -> None:
    """Write the highest and lowest pixel of the cheapest path in each column into `extents` (top, bottom)."""
    from skimage.graph import route_through_array

    room = max(ROOM_PX, round(ROOM * (last[0] - first[0])))
    above = max(0, min(first[1], last[1]) - room)
    below = min(ink.shape[0], max(first[1], last[1]) + room + 1)
    part = ink[above:below, first[0] : last[0] + 1]
    cost = INK_COST + (PAPER_COST - INK_COST) * (1.0 - np.clip(part, 0.0, 1.0))
    path, _ = route_through_array(
        cost, (first[1] - above, 0), (last[1] - above, last[0] - first[0]), fully_connected=True, geometric=True
    )
    top, bottom = extents
    for row, column in path:
        at = column + first[0] - left
        top[at] = np.fmin(top[at], row + above)
        bottom[at] = np.fmax(bottom[at], row + above)


def _widen_to_strokes(
    ink: Float32[np.ndarray, "h n"],
    line: tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]],
    pen_px: float,
) -> None:
    """Widen the path's extents to the runs of ink that it touches: it cuts the tips of narrow peaks."""
    runs = find_runs(ink)
    y, top, bottom = line
    for column in range(ink.shape[1]):
        here, common = runs.common(column, top[column] - 0.5, bottom[column] + 0.5)
        touched = here[common > 0] if len(here) else here
        if len(touched):
            y[column] = float(np.average(runs.centre[touched], weights=runs.mass[touched]))
            top[column], bottom[column] = float(runs.top[touched].min()), float(runs.bottom[touched].max())
        else:
            top[column], bottom[column] = top[column] - pen_px / 2, bottom[column] + pen_px / 2
