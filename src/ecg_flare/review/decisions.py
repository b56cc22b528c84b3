"""What reviewers decide about a page, one decision after another, and what all of it together says.

A decision is never taken out of the list. One that takes another back is a decision, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from ecg_flare.digitize.corrections import (
    NO_CORRECTIONS,
    Corrections,
    DrawnLine,
    LeadBorder,
    LeadName,
    Point,
    Ruler,
    Unreadable,
)
from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError

UNDO, REDO, CONFIRM, AGAIN, SET_ASIDE = "undo", "redo", "confirm", "again", "set_aside"

MAX_POINTS: Final = 20_000
"""Of one line: two a column of the widest page."""

MAX_ROWS: Final = 30
"""Of one page that a person says."""

_MAX_ROWS: Final = 100
_MAX_PLACES: Final = 1200
_FURTHEST_PX: Final = 1e5

Places = frozenset[tuple[int, int]]
"""Rows from the top, and places in them from the left."""


@dataclass(frozen=True)
class Decision:
    """One decision: what kind of, its value as JSON, by whom, when (UTC, ISO 8601), and why, if they say."""

    what: str
    value: Any
    who: str
    when: str
    why: str = ""


@dataclass(frozen=True)
class Review:
    """What all decisions about a page say together.

    Attributes:
        corrections: of the page.
        confirmed: places whose lead a reviewer found right as it is read now; a later correction takes that back.
        made: the numbers of the decisions that stand, in their order.
        undone: the numbers of those that were taken back and can be made again.
    """

    corrections: Corrections = NO_CORRECTIONS
    confirmed: Places = frozenset()
    made: tuple[int, ...] = ()
    undone: tuple[int, ...] = ()


def review_of(decisions: Iterable[Decision]) -> Review:
    """Return what the decisions, numbered from 0, say together. Raises ConfigError for one that cannot be."""
    listed = tuple(decisions)
    made: list[int] = []
    undone: list[int] = []
    for number, decision in enumerate(listed):
        if decision.what == UNDO:
            if not made:
                raise ConfigError("there is nothing to take back")
            undone.append(made.pop())
        elif decision.what == REDO:
            if not undone:
                raise ConfigError("nothing was taken back that could be made again")
            made.append(undone.pop())
        elif decision.what == SET_ASIDE:
            made, undone = [], []
        elif decision.what != AGAIN:
            made.append(number)
            undone = []
    corrections, confirmed = NO_CORRECTIONS, frozenset[tuple[int, int]]()
    for number in made:
        decision = listed[number]
        if decision.what == CONFIRM:
            confirmed = _places(decision.value)
        else:
            corrections, confirmed = corrected(corrections, decision.what, decision.value), frozenset()
    return Review(corrections, confirmed, tuple(made), tuple(undone))


def corrected(corrections: Corrections, what: str, value: Any) -> Corrections:
    """Return the corrections with one more. Raises ConfigError or LayoutError for a value that cannot be."""
    change = _CHANGES.get(what)
    if change is None:
        raise ConfigError(f"{what!r} is no decision; expected one of {', '.join(KINDS)}")
    return change(corrections, value)


def before(corrections: Corrections, what: str) -> Any:
    """Return what stood in a decision's place, as JSON; lines are laid over others, and take no place."""
    field = {"turn": "turned_deg"}.get(what, what)
    if field in ("line", "unreadable") or not hasattr(corrections, field):
        return None
    found = getattr(corrections, field)
    if isinstance(found, tuple) and found and not isinstance(found[0], tuple):
        return [asdict(each) for each in found]
    return asdict(found) if isinstance(found, Ruler) else found


def _number(name: str, low: float, high: float) -> Callable[[Corrections, Any], Corrections]:
    def change(corrections: Corrections, value: Any) -> Corrections:
        if value is not None:
            value = Fields({name: value}, "decision", ConfigError).number(name, low, high)
        return replace(corrections, **{name: value})

    return change


def _turn(corrections: Corrections, value: Any) -> Corrections:
    return replace(
        corrections, turned_deg=value if value is None else _fields(value, "turn", "deg").whole("deg", 0, 270)
    )


def _corners(corrections: Corrections, value: Any) -> Corrections:
    return replace(corrections, corners=None if value is None else _points(value, 4, "corners"))


def _ruler(corrections: Corrections, value: Any) -> Corrections:
    if value is None:
        return replace(corrections, ruler=None)
    fields = _fields(value, "ruler", "first", "second", "mm")
    first, second = _points([value.get("first"), value.get("second")], 2, "ruler")
    return replace(corrections, ruler=Ruler(first, second, fields.number("mm", 0.1, 1000.0)))


def _layout(corrections: Corrections, value: Any) -> Corrections:
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"layout is {value!r}; expected a name")
    return corrections.with_layout(value)


def _rows(corrections: Corrections, value: Any) -> Corrections:
    if value is not None and not (isinstance(value, list) and 0 < len(value) <= MAX_ROWS):
        raise ConfigError(f"rows: expected a place on each of 1 to {MAX_ROWS} rows, found {value!r:.60}")
    return corrections.with_rows(None if value is None else _points(value, len(value), "rows"))


def _names(corrections: Corrections, value: Any) -> Corrections:
    named = {(name.row, name.place): name for name in corrections.names}
    for each in _listed(value, "names"):
        fields = _fields(each, "names", "row", "place", "lead")
        name = LeadName(*_place(fields), fields.text("lead"))
        named[name.row, name.place] = name
    return replace(corrections, names=tuple(named.values()))


def _borders(corrections: Corrections, value: Any) -> Corrections:
    moved = {(border.row, border.place, border.side): border for border in corrections.borders}
    for each in _listed(value, "borders"):
        fields = _fields(each, "borders", "row", "place", "side", "at")
        side = fields.text("side")
        if side not in ("left", "right"):
            fields.refuse("side", side, "left or right")
        border = LeadBorder(*_place(fields), side, _points([each.get("at")], 1, "borders")[0])
        moved[border.row, border.place, border.side] = border
    return replace(corrections, borders=tuple(moved.values()))


def _line(corrections: Corrections, value: Any) -> Corrections:
    fields = _fields(value, "line", "row", "points", "how")
    line = DrawnLine(fields.whole("row", 0, _MAX_ROWS), _points(value.get("points"), None, "line"))
    return replace(corrections, lines=(*corrections.lines, line))


def _unreadable(corrections: Corrections, value: Any) -> Corrections:
    fields = _fields(value, "unreadable", "row", "begin", "end")
    begin, end = _points([value.get("begin"), value.get("end")], 2, "unreadable")
    return replace(corrections, lines=(*corrections.lines, Unreadable(fields.whole("row", 0, _MAX_ROWS), begin, end)))


_CHANGES: Final[Mapping[str, Callable[[Corrections, Any], Corrections]]] = MappingProxyType(
    {
        "turn": _turn,
        "corners": _corners,
        "ruler": _ruler,
        "speed": _number("speed", 5.0, 200.0),
        "gain": _number("gain", 1.0, 80.0),
        "chest_gain": _number("chest_gain", 1.0, 80.0),
        "layout": _layout,
        "rows": _rows,
        "names": _names,
        "borders": _borders,
        "line": _line,
        "unreadable": _unreadable,
    }
)

KINDS: Final = (*_CHANGES, CONFIRM, UNDO, REDO, AGAIN, SET_ASIDE)
"""Every kind of decision."""


def check_kind(what: str, value: Any, review: Review) -> None:
    """Raise ConfigError for a decision that cannot follow on a review, or whose value cannot be."""
    if what in (UNDO, REDO, AGAIN, SET_ASIDE):
        if value is not None:
            raise ConfigError(f"{what} takes no value, found {value!r}")
        if (what == UNDO and not review.made) or (what == REDO and not review.undone):
            raise ConfigError(f"there is nothing to {what}")
    elif what == CONFIRM:
        _places(value)
    else:
        corrected(review.corrections, what, value)


def _places(value: Any) -> Places:
    listed = value if isinstance(value, list) and len(value) <= _MAX_PLACES else None
    if listed is None or not all(_is_place(each) for each in listed):
        raise ConfigError(f"confirm is {value!r:.60}; expected the places of leads, as [row, place]")
    return frozenset((row, place) for row, place in listed)


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(each) is int and each >= 0 for each in value)


def _fields(value: Any, what: str, *names: str) -> Fields:
    return Fields(value, what, ConfigError).only(names)


def _listed(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_PLACES:
        raise ConfigError(f"{what}: expected a list of 1 to {_MAX_PLACES}, found {value!r:.60}")
    return value


def _place(fields: Fields) -> tuple[int, int]:
    return fields.whole("row", 0, _MAX_ROWS), fields.whole("place", 0, _MAX_ROWS)


def _points(value: Any, count: int | None, what: str) -> tuple[Point, ...]:
    """Points from JSON: `count` of them, or 2 to MAX_POINTS."""
    fits = isinstance(value, list) and (len(value) == count if count else 2 <= len(value) <= MAX_POINTS)
    if not fits or not all(isinstance(each, list) and len(each) == 2 for each in value):
        raise ConfigError(f"{what}: expected {count or '2 or more'} points [x, y], found {value!r:.60}")
    fields = Fields({"points": [number for each in value for number in each]}, what, ConfigError)
    numbers = fields.series("points", -_FURTHEST_PX, _FURTHEST_PX)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
