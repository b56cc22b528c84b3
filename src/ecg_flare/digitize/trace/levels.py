"""Where rows rest: their levels along the page, where the columns do not agree on how many rows there are.

Every column votes for the middle of each of its runs, and the peaks of the votes are first levels. A path at each level
shows which of them have ink of their own, and how they drift along the page.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from ecg_flare.digitize.trace.path import row_paths
from ecg_flare.digitize.trace.runs import GAP, Runs
from ecg_flare.digitize.units import PxPerMm

LEVEL_REACH_MM: Final = 25.0  # to either side: a row's level drifts no faster
LEVEL_SIGMA_MM: Final = 1.3
MIN_ROW_DISTANCE_MM: Final = 7.0
MIN_ROW_WIDTH_MM: Final = 20.0
MIN_ROW_VOTES: Final = 0.18  # of the strongest row's
MAX_COMMON: Final = 0.4  # of a row's runs that another row has taken
TAKING_TURNS: Final = 0.3  # two rows that are both there for less of their way are one


def drifting_levels(runs: Runs, height: int, scale: PxPerMm) -> Float64[np.ndarray, "rows columns"] | None:
    """Return the rows' resting levels in pixels along the page, from one path at each first level; None without rows.

    `height` is the page's, in pixels.
    """
    levels = find_levels(runs, height, scale)
    if not len(levels):
        return None
    flat = np.repeat(levels[:, None], runs.n_columns, axis=1)
    paths = row_paths(runs, flat, scale)
    paths = paths[_distinct(paths, scale.x)]
    if not len(paths):
        return None
    paths = _merge_pieces(runs, paths)
    return np.stack([_drifting_level(runs, path, scale.x) for path in paths])


def find_levels(runs: Runs, height: int, scale: PxPerMm) -> Float64[np.ndarray, " rows"]:
    """Return the y at which rows rest: peaks of the vote that every column gives to the middle of each of its runs."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    extent = runs.bottom - runs.top
    votes = np.bincount(
        np.clip(np.round(runs.centre), 0, height - 1).astype(int),
        weights=np.minimum(1.0, scale.y / np.maximum(extent, 1e-3)),
        minlength=height,
    )
    smooth = gaussian_filter1d(votes, LEVEL_SIGMA_MM * scale.y, mode="constant")
    peaks, _ = find_peaks(np.pad(smooth, 1), distance=max(1, MIN_ROW_DISTANCE_MM * scale.y))
    peaks = peaks - 1
    near = round(3.0 * scale.y)
    total = np.concatenate([[0.0], np.cumsum(votes)])
    support = total[np.minimum(peaks + near, height)] - total[np.maximum(peaks - near, 0)]
    if not len(support):
        return np.zeros(0)
    strong = (support > MIN_ROW_VOTES * support.max()) & (support > 0.5 * MIN_ROW_WIDTH_MM * scale.x)
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
        if shared < MAX_COMMON:
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
