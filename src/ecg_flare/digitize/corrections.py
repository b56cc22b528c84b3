"""What a person says of a page: every correction that a reading takes.

All places are in pixels of the picture, as `page.reader` gives it: they hold whatever is measured of the page later. A
row counts from the top, a place from the left within its row; both count what the reading without these corrections
found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from ecg_flare.digitize.measure.given import given_measures
from ecg_flare.ecg.leads import ALL_LEADS
from ecg_flare.errors import ConfigError
from ecg_flare.page.layout import load_layout

Point = tuple[float, float]
"""x and y."""

Side = Literal["left", "right"]

TURNS_DEG: Final = (0, 90, 180, 270)
_LONGEST_MM: Final = 1000.0


@dataclass(frozen=True)
class Ruler:
    """Two points of a picture that lie `mm` millimetres of paper apart."""

    first: Point
    second: Point
    mm: float


@dataclass(frozen=True)
class LeadName:
    """The lead that stands at a place."""

    row: int
    place: int
    lead: str


@dataclass(frozen=True)
class LeadBorder:
    """Where the lead at a place begins (left) or ends (right)."""

    row: int
    place: int
    side: Side
    at: Point


@dataclass(frozen=True)
class DrawnLine:
    """A stretch of a row's line, point by point."""

    row: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Unreadable:
    """A stretch of a row, from x to x, where nobody can say what the line is."""

    row: int
    begin: Point
    end: Point


@dataclass(frozen=True)
class Corrections:
    """All corrections of one page; what is None or empty is measured.

    Attributes:
        turned_deg: by how much the picture is turned, clockwise, to stand upright: 0, 90, 180 or 270.
        corners: of the part of the picture that is the page, clockwise from the top left of the picture.
        ruler: a length on the paper, which the scale follows from.
        speed, gain, chest_gain: of the paper, in mm/s and mm/mV.
        layout: its name.
        rows: a place on each row's resting level, where a person said which rows there are.
        names, borders: of leads; the last one said of a place stands.
        lines, unreadable: in the order in which they were drawn, as later ones lie over earlier ones.

    Raises ConfigError for what no page can have, LayoutError for an unknown layout.
    """

    turned_deg: int | None = None
    corners: tuple[Point, ...] | None = None
    ruler: Ruler | None = None
    speed: float | None = None
    gain: float | None = None
    chest_gain: float | None = None
    layout: str | None = None
    rows: tuple[Point, ...] | None = None
    names: tuple[LeadName, ...] = ()
    borders: tuple[LeadBorder, ...] = ()
    lines: tuple[DrawnLine | Unreadable, ...] = ()

    def __post_init__(self) -> None:
        if self.turned_deg not in (None, *TURNS_DEG):
            raise ConfigError(f"turned_deg is {self.turned_deg}; expected one of {', '.join(map(str, TURNS_DEG))}")
        if self.corners is not None:
            check_corners(self.corners)
        if self.ruler is not None and not (0 < self.ruler.mm <= _LONGEST_MM and _apart(self.ruler) >= 1.0):
            raise ConfigError(
                f"a ruler of {self.ruler.mm:g} mm over {_apart(self.ruler):.1f} pixels measures nothing; expected two "
                f"places apart and more than 0, at most {_LONGEST_MM:g} mm"
            )
        given_measures(self.speed or "auto", self.gain or "auto", None, self.chest_gain or "auto")
        if self.layout is not None:
            load_layout(self.layout)
        for name in self.names:
            if name.lead not in ALL_LEADS:
                raise ConfigError(f"lead {name.lead!r} is none of {', '.join(ALL_LEADS)}")

    def with_rows(self, rows: tuple[Point, ...] | None) -> Corrections:
        """Return these with other rows: what was said of the former ones by their numbers falls away."""
        return replace(self, rows=rows, names=(), borders=(), lines=())

    @property
    def stands(self) -> bool:
        """Whether a person said how the page stands, or where its corners are."""
        return self.turned_deg is not None or self.corners is not None

    @property
    def measures(self) -> bool:
        """Whether a person said the scale, the speed or a gain."""
        return any(each is not None for each in (self.ruler, self.speed, self.gain, self.chest_gain))

    def with_layout(self, layout: str | None) -> Corrections:
        """Return these with another layout: names and borders said of the former one fall away."""
        return replace(self, layout=layout, names=(), borders=())


NO_CORRECTIONS: Final = Corrections()


def check_corners(corners: tuple[Point, ...]) -> None:
    """Raise ConfigError unless these are the four corners of a convex quadrilateral, clockwise."""
    if len(corners) == 4:
        sides = [(corners[(k + 1) % 4][0] - x, corners[(k + 1) % 4][1] - y) for k, (x, y) in enumerate(corners)]
        turns = [sides[k][0] * sides[(k + 1) % 4][1] - sides[k][1] * sides[(k + 1) % 4][0] for k in range(4)]
        if min(turns) > 0:
            return
    raise ConfigError(f"corners are {corners}; expected four, clockwise from the top left, no three of them in a line")


def _apart(ruler: Ruler) -> float:
    return math.dist(ruler.first, ruler.second)
