"""Lines that a person drew, or said to be unreadable, in place of those that were followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.trace.page_span import without_pulses
from ecg_flare.digitize.trace.raster import sample_rows
from ecg_flare.digitize.trace.refine import SAMPLES
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.trace.unread_ink import unread_ink
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import ConfigError

Stretch = tuple[float, float]
"""From x to x, in pixels."""

APART_PX: Final = 1e-3
"""Points of a line lie further apart along x: nearer ones are one time."""


@dataclass(frozen=True, eq=False)
class DrawnStretch:
    """A row's line from the first to the last of its points (x, y), in pixels; x grows from point to point."""

    row: int
    points: Float64[np.ndarray, "k 2"]


@dataclass(frozen=True, eq=False)
class LineEdits:
    """What is drawn by hand on a page, in the order in which it is laid over its lines, and what stays unreadable."""

    drawn: tuple[DrawnStretch, ...] = ()
    unreadable: tuple[tuple[int, Stretch], ...] = ()

    def draw(self, row: int, points: Float64[np.ndarray, "k 2"]) -> LineEdits:
        """Return these with a line laid over them: what it covers is no longer unreadable.

        Raises ConfigError for fewer than two points, or for points above one another alone.
        """
        line = _as_function(points)
        begin, end = float(line[0, 0]), float(line[-1, 0])
        left = tuple(
            (number, part)
            for number, own in self.unreadable
            for part in (_without(own, begin, end) if number == row else (own,))
        )
        return LineEdits((*self.drawn, DrawnStretch(row, line)), left)

    def lose(self, row: int, begin: float, end: float) -> LineEdits:
        """Return these with a stretch that is unreadable."""
        return replace(self, unreadable=(*self.unreadable, (row, (min(begin, end), max(begin, end)))))

    def laid_over(self, polylines: Sequence[Float64[np.ndarray, "k 2"]]) -> tuple[Float64[np.ndarray, "k 2"], ...]:
        """Return the rows' lines with what was drawn in its place, and without what is unreadable."""
        result = list(self._drawn_over(polylines))
        for row, (begin, end) in self.unreadable:
            line = result[row].copy()
            line[(line[:, 0] >= begin) & (line[:, 0] <= end), 1] = np.nan
            result[row] = line
        return tuple(result)

    def _drawn_over(self, polylines: Sequence[Float64[np.ndarray, "k 2"]]) -> Sequence[Float64[np.ndarray, "k 2"]]:
        result = list(polylines)
        for stretch in self.drawn:
            old, new = result[stretch.row], _resampled(stretch.points)
            before, after = old[old[:, 0] < new[0, 0] - APART_PX], old[old[:, 0] > new[-1, 0] + APART_PX]
            result[stretch.row] = np.concatenate([before, new, after])
        return result

    def applied(
        self, lines: PageLines, ink: Float32[np.ndarray, "h w"], pulses: Sequence[Pulse], scale: PxPerMm
    ) -> PageLines:
        """Return a page's lines with these in their place, and what is compared and unread along with them."""
        if not self.drawn and not self.unreadable:
            return lines
        rows = list(lines.rows)
        for stretch in self.drawn:
            rows[stretch.row] = _redrawn(rows[stretch.row], stretch.points, lines.pen_px)
        polylines = tuple(self._drawn_over(lines.polylines))
        raster = sample_rows(polylines, lines.levels_px, lines.raster.span, scale)
        y_mm = raster.y_mm.copy()
        for row, (begin, end) in self.unreadable:
            y_mm[row, (raster.x_px >= begin) & (raster.x_px <= end)] = np.nan
        unread = unread_ink(without_pulses(ink, pulses, scale.x), rows, scale)
        return replace(lines, rows=tuple(rows), polylines=polylines, raster=replace(raster, y_mm=y_mm), unread=unread)


def _as_function(points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "n 2"]:
    """Return the points from left to right; of those that a hand drew backwards, the last ones stand."""
    line = points if len(points) < 2 or points[-1, 0] >= points[0, 0] else points[::-1]
    kept: list[Float64[np.ndarray, " 2"]] = []
    for point in line:
        while kept and kept[-1][0] >= point[0] - APART_PX:
            kept.pop()
        kept.append(point)
    if len(kept) < 2:
        raise ConfigError(f"a line of {len(points)} points that spans no width was drawn; expected two places apart")
    return np.stack(kept)


def _without(own: Stretch, begin: float, end: float) -> tuple[Stretch, ...]:
    """Return what is left of a stretch to the left and to the right of another one."""
    parts = ((own[0], min(own[1], begin)), (max(own[0], end), own[1]))
    return tuple(part for part in parts if part[0] < part[1])


def _resampled(points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "n 2"]:
    """Return the line with a point SAMPLES times a column beside its own, as nothing is missing between them."""
    first, last = points[0, 0], points[-1, 0]
    between = np.arange(np.ceil(first * SAMPLES), np.floor(last * SAMPLES) + 1) / SAMPLES
    after = np.searchsorted(points[:, 0], between)
    sides = (np.minimum(after, len(points) - 1), np.maximum(after - 1, 0))
    near = np.min([np.abs(points[side, 0] - between) for side in sides], axis=0)
    x = np.sort(np.concatenate([points[:, 0], between[near > APART_PX]]))
    line: Float64[np.ndarray, "n 2"] = np.stack([x, np.interp(x, points[:, 0], points[:, 1])], axis=1)
    return line


def _redrawn(row: RowTrace, points: Float64[np.ndarray, "k 2"], pen_px: float) -> RowTrace:
    """Return a row whose ink is that of a pen led along the points."""
    y, top, bottom, shared = row.y.copy(), row.top.copy(), row.bottom.copy(), row.shared.copy()
    line = _resampled(points)
    column = np.clip(np.round(line[:, 0]).astype(int), 0, len(y) - 1)
    for at in np.unique(column):
        own = line[column == at, 1]
        y[at], top[at], bottom[at] = own.mean(), own.min() - pen_px / 2, own.max() + pen_px / 2
        shared[at] = False
    return replace(row, y=y, top=top, bottom=bottom, shared=shared)
