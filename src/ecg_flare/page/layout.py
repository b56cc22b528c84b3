"""Layouts: which stretch of which lead stands where on a page. They are data, in layouts/*.yaml.

A layout is rows from top to bottom, each a list of segments from left to right. A segment is a lead, its length in
seconds and, if it does not begin where the one before it ended, its start; `rhythm: true` marks a rhythm strip, and
`inverted: true` a lead that is printed upside down.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ecg_flare.documents import parse_yaml, short
from ecg_flare.ecg.leads import LEADS
from ecg_flare.errors import LayoutError


@dataclass(frozen=True)
class Segment:
    """A stretch of one lead: from `start_s` of the recording on, `duration_s` long."""

    lead: str
    start_s: float
    duration_s: float
    rhythm: bool = False
    inverted: bool = False


@dataclass(frozen=True)
class Layout:
    """Rows of segments, as printed at 25 mm/s on a page that is wide enough."""

    name: str
    rows: tuple[tuple[Segment, ...], ...]

    @property
    def duration_s(self) -> float:
        """Seconds of paper that the longest row takes."""
        return max(sum(segment.duration_s for segment in row) for row in self.rows)

    @property
    def rhythm_rows(self) -> tuple[int, ...]:
        """Indices of the rows that are rhythm strips."""
        return tuple(index for index, row in enumerate(self.rows) if row[0].rhythm)


def layout_names() -> tuple[str, ...]:
    """Names of the layouts that come with the package, sorted."""
    files = resources.files(__package__).joinpath("layouts").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


@cache
def load_layout(name: str) -> Layout:
    """Load a layout of the package by name; LayoutError if there is none of that name."""
    if name not in layout_names():
        raise LayoutError(f"Unknown layout {name!r}; expected one of {', '.join(layout_names())}.")
    text = resources.files(__package__).joinpath("layouts", f"{name}.yaml").read_text(encoding="utf-8")
    return parse_layout(text, f"layouts/{name}.yaml", name)


def parse_layout(text: str, source: str, name: str) -> Layout:
    """Read a layout from YAML; raises LayoutError naming `source` and the value that is wrong."""
    data = parse_yaml(text, source, LayoutError)
    if not isinstance(data, dict) or set(data) != {"rows"} or not isinstance(data["rows"], list) or not data["rows"]:
        raise LayoutError(f"{source}: expected one key, 'rows', with a list of rows; found {short(data)}.")
    rows = tuple(_parse_row(row, f"{source}, row {index}") for index, row in enumerate(data["rows"], 1))
    missing = [lead for lead in LEADS if lead not in {segment.lead for row in rows for segment in row}]
    if missing:
        raise LayoutError(f"{source}: every page shows twelve leads; {', '.join(missing)} missing.")
    return Layout(name, rows)


def _parse_row(row: Any, where: str) -> tuple[Segment, ...]:
    if not isinstance(row, list) or not row:
        raise LayoutError(f"{where}: expected a list of segments, found {short(row)}.")
    segments: list[Segment] = []
    for item in row:
        follows = segments[-1].start_s + segments[-1].duration_s if segments else 0.0
        segments.append(_parse_segment(item, follows, where))
    if len({segment.rhythm for segment in segments}) > 1:
        raise LayoutError(f"{where}: a row is a rhythm strip as a whole or not at all.")
    return tuple(segments)


def _parse_segment(item: Any, default_start_s: float, where: str) -> Segment:
    allowed = {"lead", "start_s", "duration_s", "rhythm", "inverted"}
    if not isinstance(item, dict) or not {"lead", "duration_s"} <= set(item) <= allowed:
        raise LayoutError(
            f"{where}: a segment needs 'lead' and 'duration_s' and may have 'start_s', 'rhythm', 'inverted'; "
            f"found {short(item)}."
        )
    if item["lead"] not in LEADS:
        raise LayoutError(f"{where}: unknown lead {short(item['lead'])}; expected one of {', '.join(LEADS)}.")
    start_s = _number(item.get("start_s", default_start_s), "start_s", where)
    duration_s = _number(item["duration_s"], "duration_s", where)
    if start_s < 0 or duration_s <= 0:
        raise LayoutError(
            f"{where}: start_s must be at least 0 and duration_s over 0, found {start_s} and {duration_s}."
        )
    for flag in ("rhythm", "inverted"):
        if not isinstance(item.get(flag, False), bool):
            raise LayoutError(f"{where}: {flag} must be true or false, found {short(item[flag])}.")
    return Segment(item["lead"], start_s, duration_s, item.get("rhythm", False), item.get("inverted", False))


def _number(value: Any, key: str, where: str) -> float:
    # A NaN fails the comparison too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
        raise LayoutError(f"{where}: {key} must be a number of seconds, found {short(value)}.")
    return float(value)
