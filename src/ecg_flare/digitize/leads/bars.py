"""Bars printed between the columns of a page, as wide as they are: upright ink with two straight edges.

A stroke of a QRS complex leans, and no two rows lean alike. A bar has the same two edges from its top to its bottom, in
every row that has one and at every border. So each line of pixels near a border is cut into runs of ink; runs that
begin and end at one place are a bar's, if more rows and more borders have the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.ink.extraction import Ink
from ecg_flare.digitize.trace.runs import find_runs
from ecg_flare.digitize.units import PxPerMm

WIDEST_BAR_MM: Final = 2.0
REACH_MM: Final = 1.0  # from a border to the middle of its bar
BAND_MM: Final = 7.0  # above and below a row's level
LEVEL_MM: Final = 0.3  # of a row's level to either side, where its line runs
EDGE_MM, EDGE_PX = 0.06, 0.3  # by which the edge of a bar sways from line to line
SAME_MM: Final = 0.15  # within which all bars of a page stand beside their borders
LEAN: Final = 0.015  # along x for each step down: a stroke of a QRS complex leans more
HEIGHT_MM, SIDE_MM = 1.5, 0.5  # least height of a bar: in all, and above the line as well as below
MIN_SHARE, LONE_SHARE = 0.3, 0.5  # of the places with a border that have a bar; of a lone border's
MIN_PLACES: Final = 2
SHADED_PX: Final = 2.5  # least width of a bar whose width its shade tells: one that fills a pixel
NARROW_PX: Final = 1.5  # a bar up to this width fills no pixel column beside another: it is not told from a line
RIM_PX: Final = 2.0  # from an edge to where paper is paper
SHADE: Final = 0.2  # by which a bar is darker than paper at least


@dataclass(frozen=True)
class Place:
    """Where a bar may stand: the border of two columns, or an end of the page, in one row.

    A row that has no border there runs through.
    """

    border_px: float
    row: int
    level_px: float
    kind: Literal["between", "begin", "end", "through"]


@dataclass(frozen=True)
class Bar:
    """A bar at a place: its edges in pixels, from the left edge of the first pixel column at -0.5."""

    place: Place
    left_px: float
    right_px: float

    @property
    def centre_px(self) -> float:
        """The middle between its edges."""
        return (self.left_px + self.right_px) / 2


def find_bars(places: Sequence[Place], ink: Ink, scale: PxPerMm) -> tuple[Bar, ...]:
    """Return the bars that stand at these places, in their order; none unless several places have the same."""
    views = [view for place in places if (view := _View.at(place, ink, scale)) is not None]
    seen = [(view, edges) for view in views if (edges := view.upright()) is not None]
    agreed = _agreed(seen, places, scale)
    if agreed is None:
        return ()
    found = []
    for view in views:
        own = view.edges_near(agreed)
        if own is not None:
            found.append(Bar(view.place, view.place.border_px + own[0], view.place.border_px + own[1]))
    return tuple(found)


Edges = tuple[float, float]
"""Left and right edge of a bar, in pixels from its border."""


@dataclass(frozen=True, eq=False)
class _View:
    """The runs of ink along each line of pixels around a place: edges from the border, and y from the row's level."""

    place: Place
    y: Float64[np.ndarray, " n"]
    left: Float64[np.ndarray, " n"]
    right: Float64[np.ndarray, " n"]
    shade: Float32[np.ndarray, "n w"]
    corner_px: float
    scale: PxPerMm

    @classmethod
    def at(cls, place: Place, ink: Ink, scale: PxPerMm) -> _View | None:
        reach = (REACH_MM + WIDEST_BAR_MM) * scale.x
        height, width = ink.every.shape
        first, after = max(0, round(place.border_px - reach)), min(width, round(place.border_px + reach) + 1)
        top = max(0, round(place.level_px - BAND_MM * scale.y))
        bottom = min(height, round(place.level_px + BAND_MM * scale.y) + 1)
        if after - first < 3 or bottom - top < 3:
            return None
        runs = find_runs(np.ascontiguousarray(ink.every[top:bottom, first:after].T))
        inside = (
            (runs.top > 0.0) & (runs.bottom < after - first - 1) & (runs.bottom - runs.top < WIDEST_BAR_MM * scale.x)
        )
        from_border = first - place.border_px
        y = runs.column[inside] + top - place.level_px
        shade = ink.shade[top:bottom, first:after][runs.column[inside]]
        edges = (runs.top[inside] + from_border, runs.bottom[inside] + from_border)
        return cls(place, y, *edges, shade, from_border, scale)

    def upright(self) -> Edges | None:
        """Return the edges that most lines share, if they stand upright above and below the row's line."""
        if not len(self.y):
            return None
        sway = self._sway
        alike = (np.abs(self.left[:, None] - self.left) < sway) & (np.abs(self.right[:, None] - self.right) < sway)
        alike &= np.abs(self.left + self.right)[:, None] < 2 * REACH_MM * self.scale.x
        own = alike[int(alike.sum(axis=1).argmax())]
        y, middle = self.y[own], (self.left + self.right)[own] / 2
        aside = LEVEL_MM * self.scale.y
        above, below = int((y < -aside).sum()), int((y > aside).sum())
        if min(above, below) < SIDE_MM * self.scale.y or above + below < HEIGHT_MM * self.scale.y:
            return None
        lean = np.polyfit(y, middle, 1)[0]
        if abs(lean) > LEAN:
            return None
        return float(np.median(self.left[own])), float(np.median(self.right[own]))

    def edges_near(self, agreed: Edges) -> Edges | None:
        """Return this place's own edges, if it has a bar like the agreed one."""
        near = SAME_MM * self.scale.x + self._sway
        own = (np.abs(self.left - agreed[0]) < near) & (np.abs(self.right - agreed[1]) < near)
        if own.sum() < SIDE_MM * self.scale.y:
            return None
        edges = float(np.median(self.left[own])), float(np.median(self.right[own]))
        return self._by_shade(edges, np.median(self.shade[own], axis=0))

    def _by_shade(self, edges: Edges, shade: Float32[np.ndarray, " w"]) -> Edges:
        """Return a wider bar's edges by how dark pixels are: their centre of mass, and their sum where one is full.

        Ink is cut at both ends, so that a rim which fills a little of its pixel is lost, and one that fills much of it
        is full. Shade is not.
        """
        left, right = (edge - self.corner_px for edge in edges)
        first, last = round(left - RIM_PX), round(right + RIM_PX)
        if right - left <= NARROW_PX or first < 0 or last >= len(shade):
            return edges
        pixels = np.arange(first, last + 1)
        excess = shade[first : last + 1] - np.linspace(shade[first], shade[last], len(pixels))
        mass, wide = float(excess.sum()), right - left
        if mass < SHADE * wide:
            return edges
        if wide >= SHADED_PX:
            wide = mass / float(np.median(excess[(pixels >= left + 0.5) & (pixels <= right - 0.5)]))
        centre = float((excess * pixels).sum()) / mass + self.corner_px
        moved = (centre - wide / 2, centre + wide / 2)
        near = max(abs(new - old) for new, old in zip(moved, edges, strict=True)) < self._sway
        return moved if near else edges

    @property
    def _sway(self) -> float:
        return max(EDGE_MM * self.scale.x, EDGE_PX)


def _agreed(seen: Sequence[tuple[_View, Edges]], places: Sequence[Place], scale: PxPerMm) -> Edges | None:
    """Return the edges that most places have, if they are enough to be a page's bars."""
    if not seen:
        return None
    edges = np.array([edge for _, edge in seen])
    near = (np.abs(edges[:, None] - edges) < SAME_MM * scale.x).all(axis=2)
    group = near[int(near.sum(axis=1).argmax())]
    of_group = [view.place for (view, _), member in zip(seen, group, strict=True) if member]
    if not _enough(of_group, places):
        return None
    left, right = np.median(edges[group], axis=0)
    return float(left), float(right)


def _enough(group: Sequence[Place], places: Sequence[Place]) -> bool:
    """Whether so many places are no chance: at several borders, or in most rows of a lone one."""
    group, places = ([place for place in some if place.kind != "through"] for some in (group, places))
    lone = len({place.border_px for place in places}) == 1
    if not lone and len({place.border_px for place in group}) == 1:
        return False
    return len(group) >= max(MIN_PLACES, (LONE_SHARE if lone else MIN_SHARE) * len(places))
