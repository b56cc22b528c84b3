"""A line followed through ink between points that a person clicked: the rows' own path, led through these points.

A person clicks where the machine went wrong, often where it took a peak for print: strokes that were clicked on are the
line's, whatever they were taken for.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.trace.path import row_paths
from ecg_flare.digitize.trace.refine import refine_row
from ecg_flare.digitize.trace.rows import INK_REWARD, RowTrace
from ecg_flare.digitize.trace.runs import GAP, Runs, find_runs
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import ConfigError

NEAR_MM: Final = 1.0
"""A click this near to ink means that ink."""

SHORTEST_PX: Final = 3

DRAWN: Final = 0.4
"""Share of ink from which a pixel belongs to a stroke that can be clicked on."""


def follow_points(
    ink: Float32[np.ndarray, "h w"],
    every: Float32[np.ndarray, "h w"],
    points: Float64[np.ndarray, "k 2"],
    pen_px: float,
    scale: PxPerMm,
) -> Float64[np.ndarray, "n 2"]:
    """Return the line (x, y) in pixels that runs through the ink, 0 to 1, from point to point.

    `ink` is that of the traces; of `every` ink the strokes that were clicked on are taken, too. In a point's column the
    line takes the point's ink, elsewhere the ink of the cheapest path, as in every row; where there is none it goes
    straight. Raises ConfigError for points that do not go from left to right, or lie nearer to
    each other than SHORTEST_PX in all.
    """
    if len(points) < 2 or (np.diff(points[:, 0]) <= 0).any():
        raise ConfigError(f"{len(points)} points do not go from left to right; expected two or more that do")
    left, right = (int(np.clip(round(x), 0, ink.shape[1] - 1)) for x in (points[0, 0], points[-1, 0]))
    if right - left < SHORTEST_PX:
        raise ConfigError(f"the points lie {right - left} pixels apart along x; expected at least {SHORTEST_PX}")
    clicks = points - np.array([left, 0.0])
    part = _with_clicked(ink[:, left : right + 1], every[:, left : right + 1], clicks, NEAR_MM * scale.y)
    _keep_clicked(part, clicks, find_runs(part), NEAR_MM * scale.y)
    runs, columns = find_runs(part), np.arange(part.shape[1])
    levels = np.interp(columns, clicks[:, 0], clicks[:, 1])
    [path] = row_paths(runs, levels[None], scale, reward=INK_REWARD)
    line = refine_row(_row(runs, path, levels, pen_px), pen_px)
    inside = (line[:, 0] >= 0) & (line[:, 0] <= right - left)
    result: Float64[np.ndarray, "n 2"] = line[inside] + np.array([left, 0.0])
    return result


def _with_clicked(
    ink: Float32[np.ndarray, "h n"],
    every: Float32[np.ndarray, "h n"],
    clicks: Float64[np.ndarray, "k 2"],
    near_px: float,
) -> Float32[np.ndarray, "h n"]:
    """Return the traces' ink with all strokes that hang together with what was clicked on."""
    height, width = every.shape
    _, strokes = cv2.connectedComponents((every >= DRAWN).astype(np.uint8))
    clicked: set[int] = set()
    for x, y in clicks:
        column = int(np.clip(round(x), 0, width - 1))
        top, bottom = (int(np.clip(round(y + side * near_px), 0, height)) for side in (-1, 1))
        here = strokes[top : bottom + 1, column]
        if here.any():
            away = np.abs(np.arange(top, top + len(here)) - y)
            clicked.add(int(here[np.where(here > 0, away, np.inf).argmin()]))
    taken = np.isin(strokes, sorted(clicked))
    joined: Float32[np.ndarray, "h n"] = np.where(taken, np.maximum(ink, every), ink)
    return joined


def _keep_clicked(
    ink: Float32[np.ndarray, "h n"], clicks: Float64[np.ndarray, "k 2"], runs: Runs, near_px: float
) -> None:
    """Take all ink off the columns of clicks but that which was clicked on."""
    for x, y in clicks:
        column = int(np.clip(round(x), 0, ink.shape[1] - 1))
        here, common = runs.common(column, y, y)
        if len(here) and common.max() > -near_px:
            run = here[common.argmax()]
            ink[: max(0, int(np.floor(runs.top[run])) - 1), column] = 0.0
            ink[int(np.ceil(runs.bottom[run])) + 2 :, column] = 0.0


def _row(runs: Runs, path: np.ndarray, levels: Float64[np.ndarray, " n"], pen_px: float) -> RowTrace:
    """Return the path as a row's line; where it takes no ink it goes straight, as wide as the pen."""
    at = np.flatnonzero(path != GAP)
    if not len(at):
        y = levels
        return RowTrace(y, y - pen_px / 2, y + pen_px / 2, float(np.median(y)), np.zeros(len(y), bool))
    columns = np.arange(len(path))
    y = np.interp(columns, at, runs.centre[path[at]])
    top, bottom = y - pen_px / 2, y + pen_px / 2
    top[at], bottom[at] = runs.top[path[at]], runs.bottom[path[at]]
    return RowTrace(y, top, bottom, float(np.median(y)), np.zeros(len(y), bool))
