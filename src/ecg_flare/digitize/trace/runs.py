"""Runs of ink down each pixel column: the candidates that a row's path chooses from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64, Int64

RUN_THRESHOLD: Final = 0.30  # ink above which a pixel belongs to a stroke; anti-aliased rims stay below
SMALLEST_MASS: Final = 0.35  # full-ink pixels; less is a speck
SMALLEST_SHARE: Final = 0.3  # of the usual run's mass; less is what is left of a grid line
GAP: Final = -1
"""Stands for a run in a path where the path takes none."""


@dataclass(frozen=True, eq=False)
class Runs:
    """All runs of a page, column by column: runs `start[c]` to `start[c + 1]` stand in column c.

    `top` and `bottom` are sub-pixel edges (where the ink would end if it were full up to there), `centre` is the mean
    y weighted by ink, `mass` the ink in full-ink pixels.
    """

    start: Int64[np.ndarray, " columns_plus_1"]
    column: Int64[np.ndarray, " n"]
    top: Float64[np.ndarray, " n"]
    bottom: Float64[np.ndarray, " n"]
    centre: Float64[np.ndarray, " n"]
    mass: Float64[np.ndarray, " n"]

    @property
    def n_columns(self) -> int:
        return len(self.start) - 1

    def common(
        self, column: int, top: float, bottom: float
    ) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
        """Return the runs of a column, and how many pixels each has in common with an extent; less than 0 is a gap."""
        here = np.arange(self.start[column], self.start[column + 1])
        return here, np.minimum(self.bottom[here], bottom) - np.maximum(self.top[here], top)


def find_runs(ink: Float32[np.ndarray, "h w"]) -> Runs:
    """Return every vertical run of ink; its rim of paler pixels counts into centre, edges and mass."""
    height, width = ink.shape
    columns = np.zeros((width, height + 2), np.float32)
    columns[:, 1:-1] = ink.T
    inside = np.zeros((width, height + 4), np.int8)
    inside[:, 1:-1] = columns > RUN_THRESHOLD
    step = np.diff(inside, axis=1)
    column, first = np.nonzero(step == 1)
    _, after = np.nonzero(step == -1)
    # the rim: one more pixel each way, shared fairly where two runs are a pixel apart
    ink_sum = np.concatenate([np.zeros((width, 1)), np.cumsum(columns, axis=1, dtype=np.float64)], axis=1)
    moment = columns * np.arange(-1, height + 1, dtype=np.float64)
    moment_sum = np.concatenate([np.zeros((width, 1)), np.cumsum(moment, axis=1, dtype=np.float64)], axis=1)
    low, high = np.maximum(first - 1, 0), np.minimum(after + 1, height + 2)
    mass = ink_sum[column, high] - ink_sum[column, low]
    centre = (moment_sum[column, high] - moment_sum[column, low]) / np.maximum(mass, 1e-9)
    top = first - 1 - 0.5 + (1.0 - columns[column, first]) - columns[column, low] * (low < first)
    bottom = after - 2 + 0.5 - (1.0 - columns[column, after - 1]) + columns[column, np.minimum(after, height + 1)]
    thin = bottom - top < 0.2
    top, bottom = np.where(thin, centre - 0.5 * mass, top), np.where(thin, centre + 0.5 * mass, bottom)
    usual = float(np.median(mass[mass > SMALLEST_MASS])) if (mass > SMALLEST_MASS).any() else 0.0
    keep = mass > max(SMALLEST_MASS, SMALLEST_SHARE * usual)
    column = column[keep]
    start = np.searchsorted(column, np.arange(width + 1))
    return Runs(start, column, top[keep], bottom[keep], centre[keep], mass[keep])
