"""Where one lead ends and the next one begins in a row: each line is followed to the border from its own side.

On paper the pen leaps there. Fitted as one line, the two ends are drawn to each other, and a QRS that a border cuts is
lost to the leap. So the ink near a border is followed twice, from the left and from the right, and each lead is fitted
to what is reached from its own side. Ink that both reach is either two ends that touch, which the border tells apart,
or a separator printed between the columns, which stands in most rows and belongs to no lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.trace.refine import refine_row
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.trace.runs import GAP, Runs, find_runs
from ecg_flare.digitize.units import PxPerMm

REACH_MM: Final = 0.35  # from a border to where a line is surely its lead's alone
WINDOW_MM: Final = 4.0  # of a line that is fitted anew; the nearer half of the fit is kept
SEPARATOR_MM: Final = 0.5  # of ink above and below the lines, in the middle row
BESIDE_PX: Final = 0.5  # a line goes on in ink that begins so near to where it was
SAME_BORDER_PX: Final = 1.0


def part_leads(
    ink: Float32[np.ndarray, "h w"],
    rows: Sequence[RowTrace],
    polylines: Sequence[Float64[np.ndarray, "k 2"]],
    spans: Sequence[LeadSpan],
    scale: PxPerMm,
    pen: float,
) -> tuple[Float64[np.ndarray, "k 2"], ...]:
    """Return the polylines with neighbouring leads told apart at every border within a row.

    `polylines` are the rows' lines fitted as a whole, `pen` is in pixels.
    """
    parted = list(polylines)
    for border, numbers in inner_borders(spans).items():
        near = _BorderInk.at(border, ink, scale, pen)
        if near is None:
            continue
        ends = near.ends([rows[number] for number in numbers], scale.y)
        for number, sides in zip(numbers, ends, strict=True):
            for line, at_right in zip(sides, (True, False), strict=True):
                fitted = refine_row(line, pen) + np.array([near.begin, 0.0])
                parted[number] = spliced(parted[number], fitted, border, at_right, WINDOW_MM / 2 * scale.x)
    return tuple(parted)


def inner_borders(spans: Sequence[LeadSpan]) -> dict[float, list[int]]:
    """Return the rows in which one lead ends and another begins, by the x of that border."""
    found: dict[float, list[int]] = {}
    for number in sorted({span.row for span in spans}):
        in_row = sorted((span for span in spans if span.row == number), key=lambda span: span.left_px)
        for left, right in pairwise(in_row):
            if abs(right.left_px - left.right_px) < SAME_BORDER_PX:
                found.setdefault(round(right.left_px, 2), []).append(number)
    return found


def spliced(
    polyline: Float64[np.ndarray, "k 2"],
    fitted: Float64[np.ndarray, "n 2"],
    border: float,
    at_right: bool,
    reach: float,
) -> Float64[np.ndarray, "m 2"]:
    """Return the polyline with the fitted points on one side of the border, as far as `reach`, in place of its own."""
    low, high = (border - reach, border) if at_right else (border, border + reach)
    x, new = polyline[:, 0], fitted[(fitted[:, 0] > low) & (fitted[:, 0] <= high)]
    result: Float64[np.ndarray, "m 2"] = np.concatenate([polyline[x <= low], new, polyline[x > high]])
    return result


@dataclass(frozen=True, eq=False)
class _BorderInk:
    """The ink around a border: columns `begin` and after of the page.

    Up to column `last` a line is surely the left lead's, from `first` on the right lead's; both count from `begin`.
    """

    border: float  # counted from `begin` too
    begin: int
    last: int
    first: int
    runs: Runs

    @classmethod
    def at(cls, border: float, ink: Float32[np.ndarray, "h w"], scale: PxPerMm, pen: float) -> _BorderInk | None:
        """Return None where the border is so near to the page's edge that there is nothing to follow."""
        reach, window = max(REACH_MM * scale.x, pen / 2 + 1.0), round(WINDOW_MM * scale.x)
        last, first = int(np.floor(border - reach)), int(np.ceil(border + reach))
        begin, end = last - window, first + window + 1
        if begin < 0 or end > ink.shape[1]:
            return None
        return cls(border - begin, begin, last - begin, first - begin, find_runs(ink[:, begin:end]))

    def ends(self, rows: Sequence[RowTrace], px_per_mm_y: float) -> list[tuple[RowTrace, RowTrace]]:
        """Return for each row the left lead's line and the right lead's in these columns, NaN beyond their ends."""
        window = slice(self.begin, self.begin + self.runs.n_columns)
        cut = [
            replace(row, y=row.y[window], top=row.top[window], bottom=row.bottom[window], shared=row.shared[window])
            for row in rows
        ]
        to_right = range(self.last + 1, self.first)
        followed = [(self._follow(row, to_right), self._follow(row, to_right[::-1])) for row in cut]
        beyond = [self._beyond(row, left, right) for row, (left, right) in zip(cut, followed, strict=True)]
        separator = np.median(beyond, axis=0) > SEPARATOR_MM * px_per_mm_y
        columns = np.arange(self.runs.n_columns)
        ends = []
        for row, (left, right) in zip(cut, followed, strict=True):
            shared = (left == right) & (left != GAP)
            lost = shared & separator
            on_left = ~lost & (~shared | (columns <= self.border))
            on_right = ~lost & (~shared | (columns > self.border))
            before = self._extents(row, np.where(on_left, left, GAP), lost, columns <= self.last)
            after = self._extents(row, np.where(on_right, right, GAP), lost, columns >= self.first)
            ends.append((before, after))
        return ends

    def _follow(self, row: RowTrace, columns: range) -> Int64[np.ndarray, " w"]:
        """Return the run that a line goes on in, column by column, GAP elsewhere; it comes from beside the first."""
        runs, found = self.runs, np.full(self.runs.n_columns, GAP)
        at = columns[0] - columns.step
        top, bottom = row.top[at], row.bottom[at]
        for column in columns:
            here, common = runs.common(column, top, bottom)
            if not len(here) or not common.max() > -BESIDE_PX:
                break
            found[column] = here[common.argmax()]
            top, bottom = runs.top[found[column]], runs.bottom[found[column]]
        return found

    def _beyond(
        self, row: RowTrace, left: Int64[np.ndarray, " w"], right: Int64[np.ndarray, " w"]
    ) -> Float64[np.ndarray, " w"]:
        """Return by how many pixels ink that both lines reach stands out above and below both of them."""
        both = np.flatnonzero((left == right) & (left != GAP))
        beyond = np.zeros(self.runs.n_columns)
        highest = min(row.top[self.last], row.top[self.first])
        lowest = max(row.bottom[self.last], row.bottom[self.first])
        beyond[both] = np.minimum(highest - self.runs.top[left[both]], self.runs.bottom[left[both]] - lowest)
        return beyond

    def _extents(
        self,
        row: RowTrace,
        found: Int64[np.ndarray, " w"],
        lost: Bool[np.ndarray, " w"],
        own: Bool[np.ndarray, " w"],
    ) -> RowTrace:
        """Return the line of one lead: its own columns as they are, and the runs that it was found to go on in.

        Where the row's extents lie within the run they are kept: another row's line was told from it there. In columns
        that are lost to a separator the line is where it is in the nearest known one.
        """
        y, top, bottom = (np.where(own, values, np.nan) for values in (row.y, row.top, row.bottom))
        for column in np.flatnonzero(found != GAP):
            run = found[column]
            kept = (
                self.runs.top[run] - BESIDE_PX < row.top[column]
                and row.bottom[column] < self.runs.bottom[run] + BESIDE_PX
            )
            y[column], top[column], bottom[column] = (
                (row.y[column], row.top[column], row.bottom[column])
                if kept
                else (self.runs.centre[run], self.runs.top[run], self.runs.bottom[run])
            )
        known = np.flatnonzero(np.isfinite(y))
        if len(known):
            for column in np.flatnonzero(lost):
                nearest = known[np.abs(known - column).argmin()]
                y[column], top[column], bottom[column] = y[nearest], top[nearest], bottom[nearest]
        return replace(row, y=y, top=top, bottom=bottom)
