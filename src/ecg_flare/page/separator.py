"""Marks between the columns of a page, at the borders of the leads."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from ecg_flare.page.placed import PlacedSegment, Rectangle
from ecg_flare.page.style import PageStyle

_BAR_MM: Final = 3.15
"""Half the length of ecg-image-kit's bars at 200 dpi, its usual resolution; they are 0.79 mm wide."""


def draw_separators(style: PageStyle, segments: Sequence[PlacedSegment], spacing_mm: float) -> tuple[Rectangle, ...]:
    """The marks at the left border of every lead but the first of its row; rows lie `spacing_mm` apart."""
    spans_mm: Sequence[tuple[float, float]] = {
        "none": (),
        "ticks": ((-6.5, -3.0), (2.0, 5.5)),
        "bars": ((-_BAR_MM, _BAR_MM),),
        "line": ((-5.0, 5.0),),
        "dashes": tuple((start, start + 0.8) for start in _steps(-0.5 * spacing_mm, 0.5 * spacing_mm, 1.6)),
    }[style.text.separator]
    half_mm = style.text.separator_mm / 2
    return tuple(
        Rectangle(
            placed.border_mm - half_mm,
            placed.baseline_mm + top,
            placed.border_mm + half_mm,
            placed.baseline_mm + bottom,
        )
        for before, placed in pairwise(segments)
        if before.row == placed.row
        for top, bottom in spans_mm
    )


def _steps(start: float, stop: float, step: float) -> list[float]:
    return [start + index * step for index in range(int((stop - start) / step))]
