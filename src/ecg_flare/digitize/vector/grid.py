"""The grid that a page draws: its lines lie on a lattice, whose pitch is known to the precision of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.pdf_paths import PagePaths

SMALL_MM: Final = (0.6, 1.7)
"""What a square of one millimetre may measure on the file's own paper: pages are printed larger and smaller."""

BOX_MM: Final = (3.0, 8.5)
"""The same of a square of five."""

_STRAIGHT_PX: Final = 0.02
_THIN_MM: Final = 0.5
_MOST_CORNERS: Final = 5  # of a piece that is a line or a box
_MIN_LINES: Final = 12
_OFF_LATTICE: Final = 0.04  # of the pitch
_ON_LATTICE: Final = 0.8
_MOST_STRETCH: Final = 1.25


@dataclass(frozen=True)
class DrawnGrid:
    """Pixels a millimetre, and how many lines of the grid there are along the axis that has fewer."""

    px_per_mm: PxPerMm
    lines: int


@dataclass(frozen=True, eq=False)
class RuledLines:
    """Straight lines along one axis: where they lie across it, and how long they are."""

    places_px: Float64[np.ndarray, " n"]
    lengths_px: Float64[np.ndarray, " n"]


def find_grid(paths: PagePaths, paper_px_per_mm: float) -> DrawnGrid | None:
    """The grid of a page, whose own paper has so many pixels a millimetre; None where its lines make none.

    A page whose lines have one distance alone is measured by the size of its paper.
    """
    upright, level = ruled_lines(paths, _THIN_MM * paper_px_per_mm)
    x, y = (_pitch_px(lines, paper_px_per_mm) for lines in (upright, level))
    if x is None or y is None:
        return None
    stretch = max(x[0] / y[0], y[0] / x[0])
    return DrawnGrid(PxPerMm(x[0], y[0]), min(x[1], y[1])) if stretch < _MOST_STRETCH else None


def ruled_lines(paths: PagePaths, thin_px: float) -> tuple[RuledLines, RuledLines]:
    """The upright and the level lines of a page: the sides of simple pieces, and areas as thin as lines."""
    if not len(paths):
        return RuledLines(np.empty(0), np.empty(0)), RuledLines(np.empty(0), np.empty(0))
    points, starts = paths.points_px, paths.starts
    low = np.minimum.reduceat(points, starts[:-1], axis=0)
    size = np.maximum.reduceat(points, starts[:-1], axis=0) - low
    thin = paths.closed & ~paths.curved & (size.min(axis=1) < thin_px) & (size.max(axis=1) > thin_px)
    simple = ~thin & (np.diff(starts) <= _MOST_CORNERS)
    piece = np.repeat(np.arange(len(paths)), np.diff(starts))
    first = np.flatnonzero((piece[:-1] == piece[1:]) & simple[piece[:-1]])
    way = np.abs(points[first + 1] - points[first])
    middle = (points[first + 1] + points[first]) / 2
    found = []
    for across, along in ((0, 1), (1, 0)):
        sides = (way[:, across] < _STRAIGHT_PX) & (way[:, along] > _STRAIGHT_PX)
        areas = thin & (size[:, across] < size[:, along])
        found.append(
            RuledLines(
                np.concatenate([middle[sides, across], (low + size / 2)[areas, across]]),
                np.concatenate([way[sides, along], size[areas, along]]),
            )
        )
    return found[0], found[1]


def _pitch_px(lines: RuledLines, paper_px_per_mm: float) -> tuple[float, int] | None:
    """Pixels a millimetre along one axis, and the number of lines; None where they lie on no lattice."""
    if len(lines.places_px) < _MIN_LINES:
        return None
    long = lines.lengths_px > SMALL_MM[0] * paper_px_per_mm
    places = _distinct(lines.places_px[long], 0.1 * paper_px_per_mm)
    if len(places) < _MIN_LINES:
        return None
    fit = _lattice(places)
    if fit is None:
        return None
    pitch_px = fit
    on_paper = pitch_px / paper_px_per_mm
    if SMALL_MM[0] <= on_paper <= SMALL_MM[1]:
        return pitch_px, len(places)
    return (pitch_px / 5, len(places)) if BOX_MM[0] <= on_paper <= BOX_MM[1] else None


def _distinct(places: Float64[np.ndarray, " n"], apart: float) -> Float64[np.ndarray, " m"]:
    """Places in order; those that are nearer than `apart` become their mean."""
    ordered = np.sort(places)
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > apart) + 1)
    return np.array([group.mean() for group in groups if len(group)])


def _lattice(places: Float64[np.ndarray, " n"]) -> float | None:
    """The distance of places on a lattice, of which some may be missing; None where they are on none."""
    steps = np.diff(places)
    pitch = float(np.median(steps[steps < 1.5 * np.quantile(steps, 0.25)]))
    origin = places[int(np.abs(places - np.median(places)).argmin())]
    for reach in (4, 16, 64, 256, 1024):  # a pitch that is a little off is right near the origin first
        numbers = np.round((places - origin) / pitch)
        near: Bool[np.ndarray, " n"] = np.abs(numbers) <= reach
        near &= np.abs(places - origin - pitch * numbers) < 0.25 * pitch
        if near.sum() >= 3:
            pitch, origin = (float(value) for value in np.polyfit(numbers[near], places[near], 1))
    numbers = np.round((places - origin) / pitch)
    on = np.abs(places - origin - pitch * numbers) < _OFF_LATTICE * pitch
    if on.mean() < _ON_LATTICE:
        return None
    return float(np.polyfit(numbers[on], places[on], 1)[0])
