"""From the extents of the ink to the line that drew it: analysis by synthesis, a few samples a column.

The mean of a column's ink flattens every narrow peak: a pen of finite width smears the line over its neighbours. Drawn
with a round pen of half width w, a line y(x) leaves in column c ink from

    top(c) = min over d of y(c + d) - b(d)    to    bottom(c) = max over d of y(c + d) + b(d),

where b(d) is the pen's half height at distance d from the column. The line is moved until it leaves the extents that
were measured: each error goes to the sample that makes the extreme, errors on one sample are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.trace.pen import pen_width_px
from ecg_flare.digitize.trace.rows import RowTrace

PEN_PERCENTILE: Final = 20
ITERATIONS: Final = 40
STEP: Final = 0.8
ALONG_STROKE: Final = 0.4  # of the distance to the mean of the neighbours, a step: keeps unseen samples in line
AT_TIP: Final = 0.08
MONOTONE_REACH: Final = 2  # columns
COLUMN_REACH_PX: Final = 0.3  # half a column, less what the pen must enter before the column counts as inked
PEAK_PENS: Final = 4.0  # half pens: less extent than this is no peak
SAMPLES: Final = 2  # a column; with one a stroke of a column's width has no shape, more gain nothing


def pen_px(rows: Sequence[RowTrace]) -> float:
    """Return the pen's width in pixels that lines are fitted with."""
    return pen_width_px([row.bottom - row.top for row in rows], PEN_PERCENTILE)


def refine_row(row: RowTrace, pen: float) -> Float64[np.ndarray, "k 2"]:
    """Return the polyline (x, y) in pixels whose drawn extents are those of the row; y is NaN where there is no ink.

    `pen` is the pen's width in pixels.
    """
    inked = np.isfinite(row.y)
    if inked.sum() < 3:
        return np.stack([np.arange(len(row.y), dtype=np.float64), row.y], axis=1)
    top, bottom, middle = (_filled(values, inked) for values in (row.top, row.bottom, row.y))
    half_width = pen / 2
    # where the line is level the mean of the ink is the better measure of its height
    level = np.clip(1.0 - (bottom - top - 2 * half_width), 0.0, 1.0)
    top += level * (middle - half_width - top)
    bottom += level * (middle + half_width - bottom)
    x = (np.arange(len(middle) * SAMPLES) + 0.5) / SAMPLES - 0.5
    y = np.interp(x, np.arange(len(middle)), _start(middle, top, bottom, half_width))
    y = _fit(y, top, bottom, half_width)
    y[~np.repeat(inked, SAMPLES)] = np.nan
    return np.stack([x, y], axis=1)


def _start(
    middle: Float64[np.ndarray, " w"],
    top: Float64[np.ndarray, " w"],
    bottom: Float64[np.ndarray, " w"],
    half_width: float,
) -> Float64[np.ndarray, " w"]:
    """Return where the fit begins: the middle of the ink, but at a peak's column its tip.

    Begun in the middle there, the fit would end with two peaks beside the column and a dip in it.
    """
    start = middle.copy()
    for edge, far, sign in ((top, bottom, 1.0), (bottom, top, -1.0)):
        near, beyond = sign * edge, sign * far
        padded, padded_far = np.pad(near, 2, mode="edge"), np.pad(beyond, 2, mode="edge")
        first = np.min([padded[k : k + len(near)] for k in range(5)], axis=0)
        tip = (near <= first + half_width) & (beyond <= padded_far[:-4]) & (beyond <= padded_far[4:])
        tip &= bottom - top > PEAK_PENS * half_width
        start = np.where(tip, edge + sign * half_width, start)
    return start


def _fit(
    y: Float64[np.ndarray, " k"],
    top: Float64[np.ndarray, " w"],
    bottom: Float64[np.ndarray, " w"],
    half_width: float,
) -> Float64[np.ndarray, " k"]:
    reach = int(np.ceil((half_width + 0.5) * SAMPLES))
    offset = np.arange(-reach, reach + SAMPLES)
    distance = np.maximum(0.0, np.abs((offset + 0.5) / SAMPLES - 0.5) - COLUMN_REACH_PX)
    offset, distance = offset[distance < half_width], distance[distance < half_width]
    pen = np.sqrt(half_width**2 - distance**2)
    column = np.arange(len(top))
    near = np.clip(column[:, None] * SAMPLES + offset[None], 0, len(y) - 1)
    for _ in range(ITERATIONS):
        drawn_top, drawn_bottom = y[near] - pen, y[near] + pen
        highest, lowest = drawn_top.argmin(axis=1), drawn_bottom.argmax(axis=1)
        at_top, at_bottom = near[column, highest], near[column, lowest]
        error = np.bincount(at_top, top - drawn_top[column, highest], len(y))
        error += np.bincount(at_bottom, bottom - drawn_bottom[column, lowest], len(y))
        count = np.bincount(at_top, minlength=len(y)) + np.bincount(at_bottom, minlength=len(y))
        y = y + STEP * error / np.maximum(count, 1)
        y[1:-1] += _smoothing(y, MONOTONE_REACH * SAMPLES)[1:-1] * ((y[:-2] + y[2:]) / 2 - y[1:-1])
    return y


def _smoothing(y: Float64[np.ndarray, " k"], reach: int) -> Float64[np.ndarray, " k"]:
    """Return how strongly each sample is drawn to the mean of its neighbours: fully along a stroke, hardly at a tip.

    Along a straight stroke that mean is right, and the extents do not say in which order a column's samples come.
    """
    before, after = np.roll(y, reach), np.roll(y, -reach)
    before[:reach], after[-reach:] = y[0], y[-1]
    between = (y - before) * (after - y) > 0
    return np.where(between, ALONG_STROKE, AT_TIP)


def _filled(values: Float64[np.ndarray, " w"], known: np.ndarray) -> Float64[np.ndarray, " w"]:
    x = np.arange(len(values))
    result: Float64[np.ndarray, " w"] = np.interp(x, x[known], values[known])
    return result
