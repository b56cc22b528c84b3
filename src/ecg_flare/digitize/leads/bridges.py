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
from ecg_flare.digitize.leads.bars import Bar
from ecg_flare.digitize.leads.borders import BESIDE_PX, spliced
from ecg_flare.digitize.trace.refine import SAMPLES, refine_row
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.trace.runs import Runs, find_runs
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.stretches import unbroken

WINDOW_MM: Final = 4.0  # of a line beside a bar that is fitted anew; the nearer half of the fit is kept
MARGIN_MM: Final = 2.0  # above and below a line
COVERED: Final = 0.6  # mean ink across a bar in a line of pixels that shows it
LIKE: Final = 0.4  # by which a line that shows a bar alone is paler than the bar
PALE: Final = 0.12  # ink beside a bar that is none
TRACE_OF_BAR: Final = 0.04  # ink of a rim above which a line is looked for anew
DARK: Final = 0.5  # ink of a bar's blurred rim or end that hides a line; a paler one is taken off
RIM_MM: Final = 0.3  # how far beyond its edges a bar is blurred
THROUGH_PX: Final = 2  # beyond either end of a bar: a line seen at both runs under it
PEAK_MM: Final = 2.0  # of ink as wide as a bar beyond its last line that is seen alone: no bar
END_PX: Final = 2  # beyond its ends a bar is blurred
MIN_DASHES: Final = 2
LEAST_LINES: Final = 8  # that show a bar alone, to tell that it leans
LOST_MM: Final = 0.5  # of a line beside a bar, which a segmenter takes for print with it
OWN_SHARE: Final = 0.3  # of a stretch of covered lines that show the bar alone


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
        part = Ink(ink.trace[lines, columns].copy(), ink.every[lines, columns])
        y, high, low = (values[columns] - top for values in (row.y, row.top, row.bottom))
        own = replace(row, y=y, top=high, bottom=low, shared=row.shared[columns])
        edges = (bar.left_px - begin, bar.right_px - begin)
        first, after, hides = _erase(part, edges, round(RIM_MM * scale.x), round(PEAK_MM * scale.y))
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


def _erase(
    part: Ink, edges: tuple[float, float], rim: int, peak: int
) -> tuple[int, int, Bool[np.ndarray, " h"]]:
    """Take a bar's ink off the traces'; return the columns that it touches, from and up to, and the lines it hides.

    Lines that show the bar alone say how dark each column of it is, and how that changes where it leans. Under its pale rim, and beyond its ends, the line
    is seen all the same. A line that is seen at both ends of the bar runs on under it. Much ink as wide as the bar,
    `peak` pixels beyond the last line that shows it alone, is a peak that stands out of it.

    Segmenters take a line for print where a bar stands. There all ink that is not the bar's is the line's.
    """
    trace, every = part.trace, part.every
    first, after = max(0, int(np.floor(edges[0] + 0.5))), min(every.shape[1], int(np.ceil(edges[1] + 0.5)))
    hides = np.zeros(len(every), bool)
    middle = round((edges[0] + edges[1]) / 2)
    inner = max(0.0, (edges[1] - edges[0]) / 2 - 1.0)
    core = slice(max(0, round((edges[0] + edges[1]) / 2 - inner)), max(middle, round(middle + inner)) + 1)
    covered = every[:, core].mean(axis=1) > COVERED
    low, high = max(0, first - rim), min(every.shape[1], after + rim)
    beside = [column for column in (low - 1, high) if 0 <= column < every.shape[1]]
    alone = covered & (trace[:, beside].max(axis=1, initial=0.0) < PALE)
    if not alone.any():
        return first, after, hides
    shade = np.median(every[alone], axis=0)
    like = (shade - every)[:, low:high].max(axis=1) < LIKE
    alone &= like
    shades = _shade_of_lines(every, alone, shade)
    touched = np.flatnonzero(shades[alone].max(axis=0, initial=0.0)[low:high] > TRACE_OF_BAR) + low
    trace[:, low:high] = every[:, low:high]
    there = np.clip(every[:, core] / np.maximum(shade[core], COVERED), 0.0, 1.0).min(axis=1)
    for top, bottom in _of_bar(covered, alone, like):
        around = _bar_alone(alone, top, bottom, peak)
        hides[around] |= there[around] > DARK
        through = _inked_beyond(trace, around)
        for column in range(low, high):
            dark = there[around] * shades[around, column]
            bare = np.clip((every[around, column] - dark) / np.maximum(1.0 - dark, 1.0 - DARK), 0.0, 1.0)
            bare[dark > DARK] = 1.0 if through[column] else 0.0
            trace[around, column] = np.minimum(trace[around, column], bare)
    return (int(touched[0]), int(touched[-1]) + 1, hides) if len(touched) else (first, after, hides)


def _shade_of_lines(
    every: Float32[np.ndarray, "h w"], alone: Bool[np.ndarray, " h"], shade: Float32[np.ndarray, " w"]
) -> Float64[np.ndarray, "h w"]:
    """Return how dark a bar is in each line and column; `shade` is what it usually is."""
    line = np.arange(len(every))
    shown = np.flatnonzero(alone)
    if len(shown) < LEAST_LINES:
        return np.tile(shade.astype(np.float64), (len(every), 1))
    tilt, level = np.polyfit(shown, every[shown], 1)
    result: Float64[np.ndarray, "h w"] = np.clip(tilt * line[:, None] + level, 0.0, 1.0)
    return result


def _of_bar(
    covered: Bool[np.ndarray, " h"], alone: Bool[np.ndarray, " h"], like: Bool[np.ndarray, " h"]
) -> list[tuple[int, int]]:
    """Return the stretches of covered lines that are the bar's: those that show it alone, and dashes as long as they.

    A line that meets a dash beside the bar does not let it be seen alone.
    """
    stretches = list(unbroken(covered))
    own = [(top, bottom) for top, bottom in stretches if alone[top:bottom].mean() >= OWN_SHARE]
    if len(own) < MIN_DASHES:
        return own
    usual = float(np.median([bottom - top for top, bottom in own]))
    return [
        (top, bottom)
        for top, bottom in stretches
        if (top, bottom) in own or (abs(bottom - top - usual) <= usual / 2 and like[top:bottom].any())
    ]


def _bar_alone(alone: Bool[np.ndarray, " h"], top: int, bottom: int, peak: int) -> slice:
    """Return the lines of a stretch that are the bar's, with its blurred ends, without a peak that stands out of it."""
    own = np.flatnonzero(alone[top:bottom]) + top
    first = own[0] if len(own) and own[0] - top > peak else max(0, top - END_PX)
    after = own[-1] + 1 if len(own) and bottom - own[-1] - 1 > peak else min(len(alone), bottom + END_PX)
    return slice(int(first), int(after))


def _inked_beyond(part: Float32[np.ndarray, "h w"], lines: slice) -> Bool[np.ndarray, " w"]:
    """Return the columns with ink both just above and just below these lines of pixels."""
    above, below = part[max(0, lines.start - THROUGH_PX) : lines.start], part[lines.stop : lines.stop + THROUGH_PX]
    inked: Bool[np.ndarray, " w"] = (above.min(axis=0, initial=1.0) > COVERED) & (
        below.min(axis=0, initial=1.0) > COVERED
    )
    return inked & (len(above) == THROUGH_PX) & (len(below) == THROUGH_PX)
