"""Columns that are not equal on the paper: a page whose first or last column is cut, told by where its labels stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.time_steps import nearest_time_step

MIN_COLUMNS: Final = 2  # beside the first, whose label may stand elsewhere (below the pulse)
SPREAD_MM: Final = 1.5  # labels of one column, and of one pitch, agree to this
DIFFERENCE: Final = 0.012  # a smaller difference between pitches is no evidence
NOMINAL_TOLERANCE: Final = 0.025
LABEL_OFFSET_MM: Final = 1.5  # from a column's beginning to its label, usually
FIRST_CUT_MM: Final = 5.0


@dataclass(frozen=True)
class LabelPosition:
    """A label that agrees with the layout: the column it begins, and its left end in pixels."""

    column: int
    left_px: float


def uneven_borders(
    places: Sequence[LabelPosition], n_columns: int, left_px: float, right_px: float, column_px: float, px_per_mm: float
) -> tuple[float, ...] | None:
    """Return the columns' borders (n_columns + 1 of them) if the labels say that they are not equal, else None.

    `column_px` is the length of a whole column of the layout. Labels stand at one distance from the beginning of their
    column, so that their pitch is the columns'; it is believed if it is a length that the layout can have.
    """
    by_column: dict[int, float] = {}
    for column in range(1, n_columns):
        x = np.array([place.left_px for place in places if place.column == column])
        if len(x) and np.ptp(x) < SPREAD_MM * px_per_mm:
            by_column[column] = float(np.median(x))
    if len(by_column) < MIN_COLUMNS:
        return None
    columns = np.array(sorted(by_column))
    lefts = np.array([by_column[int(column)] for column in columns])
    pitch, origin = np.polyfit(columns, lefts, 1)
    if np.abs(lefts - (origin + pitch * columns)).max() > SPREAD_MM * px_per_mm:
        return None
    equal = (right_px - left_px) / n_columns
    nominal = nearest_time_step(pitch, column_px)
    if abs(pitch / equal - 1) < DIFFERENCE or nominal <= 0 or abs(pitch / nominal - 1) > NOMINAL_TOLERANCE:
        return None
    first_label = origin + pitch - LABEL_OFFSET_MM * px_per_mm
    cut_at_left = left_px + nominal - first_label > FIRST_CUT_MM * px_per_mm
    second = first_label if cut_at_left else left_px + nominal
    inner = [second + nominal * k for k in range(n_columns - 1)]
    if inner[-1] >= right_px or inner[0] <= left_px:
        return None
    return (left_px, *inner, min(right_px, inner[-1] + nominal))
