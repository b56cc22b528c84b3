"""What stands somewhere on the paper: segments of leads and rectangles, in millimetres from the top left corner."""

from dataclasses import dataclass

from ecg_flare.page.layout import Segment

PointsMm = tuple[tuple[float, float], ...]
"""A polyline: points (x, y)."""


@dataclass(frozen=True)
class PlacedSegment:
    """A segment and where it is printed: its left end, its row and the height of 0 mV.

    `border_mm` is where its column begins: at `x_mm`, or before the pulse that stands in front of the lead.
    """

    segment: Segment
    row: int
    x_mm: float
    baseline_mm: float
    border_mm: float


@dataclass(frozen=True)
class Rectangle:
    """An upright rectangle."""

    left_mm: float
    top_mm: float
    right_mm: float
    bottom_mm: float
