"""What a bar between the columns hides: a line is followed to it from either side, and held where it is hidden.

Ink of a bar is no ink of a line. Where a line is seen beside the bar's ink, between two ticks or two dashes, it is
followed there. Where it is hidden, it stays at the last place that was seen, as nothing says where it went.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64

from ecg_flare.digitize.ink.extraction import Ink
from ecg_flare.digitize.leads.bar_ink import THROUGH_PX, erase_bar
from ecg_flare.digitize.leads.bars import Bar
from ecg_flare.digitize.leads.borders import BESIDE_PX, spliced
from ecg_flare.digitize.trace.refine import SAMPLES, refine_row
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.trace.runs import Runs, find_runs
from ecg_flare.digitize.units import PxPerMm

WINDOW_MM: Final = 4.0  # of a line beside a bar that is fitted anew; the nearer half of the fit is kept
MARGIN_MM: Final = 2.0  # above and below a line
RIM_MM: Final = 0.3  # how far beyond its edges a bar is blurred
PEAK_MM: Final = 2.0  # of ink as wide as a bar beyond its last line that is seen alone: no bar
LOST_MM: Final = 0.5  # of a line beside a bar, which a segmenter takes for print with it


def bridge_bars(
    ink: Ink,
    rows: Sequence[RowTrace],
    polylines: Sequence[Float64[np.ndarray, "k 2"]],
    bars: Sequence[Bar],
    scale: PxPerMm,
    pen: float,
) -> tuple[Float64[np.ndarray, "k 2"], ...]:
    """Return the polylines without the bars' ink; `pen` is in pixels."""
    bridged = list(polylines)
    for bar in bars:
        hidden = _Hidden.by(bar, rows[bar.place.row], ink, scale)
        if hidden is None:
            continue
        reach = (bar.right_px - bar.left_px + WINDOW_MM * scale.x) / 2
        for line, begins in hidden.sides(pen):
            bridged[bar.place.row] = spliced(bridged[bar.place.row], line, hidden.border_px, not begins, reach)
    return tuple(bridged)


@dataclass(frozen=True, eq=False)
class _Hidden:
    """A row around a bar: columns and lines of the page from `corner` on.

    The bar touches the columns `first` up to `after`, not included. `row` is the line's ink there, y from the top of
    `seen`, the ink without the bar. `hides` are the lines of pixels that the bar hides. Up to `lost` columns beside it
    the line may be missing.
    """

    bar: Bar
    row: RowTrace
    corner: tuple[int, int]
    first: int
    after: int
    seen: Float32[np.ndarray, "h w"]
    hides: Bool[np.ndarray, " h"]
    lost: float

    @classmethod
    def by(cls, bar: Bar, row: RowTrace, ink: Ink, scale: PxPerMm) -> _Hidden | None:
        """Return None where no line is seen beside the bar."""
        window = round(WINDOW_MM * scale.x)
        begin = max(0, round(bar.left_px) - window)
        columns = slice(begin, min(ink.trace.shape[1], round(bar.right_px) + window + 1))
        if not np.isfinite(row.y[columns]).any():
            return None
        margin = MARGIN_MM * scale.y
        top = max(0, round(float(np.nanmin(row.top[columns])) - margin))
        lines = slice(top, round(float(np.nanmax(row.bottom[columns])) + margin) + 1)
        part = Ink(ink.trace[lines, columns].copy(), ink.every[lines, columns], ink.shade[lines, columns])
        y, high, low = (values[columns] - top for values in (row.y, row.top, row.bottom))
        own = replace(row, y=y, top=high, bottom=low, shared=row.shared[columns])
        edges = (bar.left_px - begin, bar.right_px - begin)
        first, after, hides = erase_bar(part, edges, round(RIM_MM * scale.x), round(PEAK_MM * scale.y))
        return cls(bar, own, (begin, top), first, after, part.trace, hides, LOST_MM * scale.x)

    @property
    def border_px(self) -> float:
        """Where one lead ends and the next begins; in a row that runs through, the middle of the bar."""
        return self.bar.centre_px if self.bar.place.kind == "through" else self.bar.place.border_px

    def sides(self, pen: float) -> list[tuple[Float64[np.ndarray, "n 2"], bool]]:
        """Return the line to the left of the border, and that to its right (True), as far as a lead is there."""
        kind = self.bar.place.kind
        left, right = (self._fitted(self._followed(to_right, pen), pen) for to_right in (True, False))
        if kind == "through":
            line = np.concatenate([left, right])
            both = np.stack([self._samples(), np.interp(self._samples(), line[:, 0], line[:, 1])], axis=1)
            return [(both, False), (both, True)] if len(left) and len(right) else []
        sides = {"between": ((left, False), (right, True)), "begin": ((right, True),), "end": ((left, False),)}[kind]
        held = [(np.interp(self._samples(), line[:, 0], line[:, 1]), begins) for line, begins in sides if len(line)]
        return [(np.stack([self._samples(), y], axis=1), begins) for y, begins in held]

    @cached_property
    def _runs(self) -> Runs:
        return find_runs(self.seen)

    def _samples(self) -> Float64[np.ndarray, " n"]:
        n = len(self.row.y) * SAMPLES
        return (np.arange(n) + 0.5) / SAMPLES - 0.5 + self.corner[0]

    def _fitted(self, line: RowTrace, pen: float) -> Float64[np.ndarray, "n 2"]:
        """Return the points of a line where it is seen, on the page, in its own half of the columns."""
        seen = np.flatnonzero(np.isfinite(line.y))
        if not len(seen):
            return np.empty((0, 2))
        part = slice(seen[0], seen[-1] + 1)
        cut = replace(line, y=line.y[part], top=line.top[part], bottom=line.bottom[part], shared=line.shared[part])
        points = refine_row(cut, pen) + np.array([self.corner[0] + seen[0], self.corner[1]], float)
        result: Float64[np.ndarray, "n 2"] = points[np.isfinite(points[:, 1])]
        return result

    def _followed(self, to_right: bool, pen: float) -> RowTrace:
        """Return the line up to the bar from one side, and on to the border where it is seen under it."""
        runs = self._runs
        columns = np.arange(len(self.row.y))
        beside = columns < self.first if to_right else columns >= self.after
        y, top, bottom = (np.where(beside, values, np.nan) for values in (self.row.y, self.row.top, self.row.bottom))
        border = self.border_px - self.corner[0]
        at = self._last_known(y, to_right)
        if at is None:
            return replace(self.row, y=y, top=top, bottom=bottom)
        last = (float(top[at]), float(bottom[at]))
        under = range(at + 1, self.after) if to_right else range(at - 1, self.first - 1, -1)
        for column in (c for c in under if (c <= border) == to_right):
            own = abs(column - border) > pen / 2
            run = self._next_run(runs, column, last, own)
            if run is None:
                continue
            last = self._through(runs, column, run) if own else (float(runs.top[run]), float(runs.bottom[run]))
            joined = last != (runs.top[run], runs.bottom[run])
            y[column] = sum(last) / 2 if joined else runs.centre[run]
            top[column], bottom[column] = last
        return replace(self.row, y=y, top=top, bottom=bottom)

    def _last_known(self, y: Float64[np.ndarray, " w"], to_right: bool) -> int | None:
        """Return the column beside the bar where a line is last known; None where it ends further off."""
        known = np.flatnonzero(np.isfinite(y))
        if not len(known):
            return None
        at = int(known[-1] if to_right else known[0])
        missing = self.first - 1 - at if to_right else at - self.after
        return at if missing <= self.lost else None

    def _next_run(self, runs: Runs, column: int, last: tuple[float, float], own: bool) -> int | None:
        """Return the run that a line goes on in: one that it touches, or one that comes out of the bar it went into.

        The latter where the column is the lead's `own`: half a pen from the border the neighbour's line may be seen.
        """
        here, common = runs.common(column, *last)
        if not len(here):
            return None
        nearest = int(here[common.argmax()])
        if common.max() > -BESIDE_PX:
            return nearest
        through = self._at_bar(*last) and self._at_bar(runs.top[nearest], runs.bottom[nearest])
        return nearest if own and through else None

    def _through(self, runs: Runs, column: int, run: int) -> tuple[float, float]:
        """Return the extent of a run, and of those at the bar's other ends if it goes into the bar: one stroke."""
        extent = (float(runs.top[run]), float(runs.bottom[run]))
        if not self._at_bar(*extent):
            return extent
        here = range(runs.start[column], runs.start[column + 1])
        at_bar = [run, *(k for k in here if self._at_bar(float(runs.top[k]), float(runs.bottom[k])))]
        return float(runs.top[at_bar].min()), float(runs.bottom[at_bar].max())

    def _at_bar(self, top: float, bottom: float) -> bool:
        """Whether an extent touches the bar's ink that was taken off."""
        return bool(self.hides[max(0, int(top - THROUGH_PX)) : int(bottom + THROUGH_PX) + 1].any())
