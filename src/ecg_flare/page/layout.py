"""Layouts: which stretch of which lead stands where on a page. They are data: layouts/*.yaml, or a file of one's own.

A layout is rows from top to bottom, each a list of segments from left to right. A segment is a lead, its length in
seconds and, if it does not begin where the one before it ended, its start; `rhythm: true` marks a rhythm strip, and
`inverted: true` a lead that is printed upside down. A layout may show fewer than twelve leads, or extra ones (V3R to
V6R, V7 to V9); a page has no trace of the others. A lead may go on in a later row, as watches print theirs: its
stretches must not overlap in time.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from ecg_flare.documents import parse_yaml, short
from ecg_flare.ecg.leads import ALL_LEADS
from ecg_flare.errors import LayoutError

_YAML_ENDINGS: Final = (".yaml", ".yml")
_MAX_ROWS: Final = 48
_MAX_SEGMENTS: Final = 48
"""Of one row."""
_SAME_TIME_S: Final = 1e-6


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
    def leads(self) -> tuple[str, ...]:
        """The leads that it shows, in the order of `ALL_LEADS`."""
        shown = {segment.lead for row in self.rows for segment in row}
        return tuple(lead for lead in ALL_LEADS if lead in shown)

    @property
    def rhythm_rows(self) -> tuple[int, ...]:
        """Indices of the rows that are rhythm strips."""
        return tuple(index for index, row in enumerate(self.rows) if row[0].rhythm)


@cache
def layout_names() -> tuple[str, ...]:
    """Names of the layouts that come with the package, sorted."""
    files = resources.files(__package__).joinpath("layouts").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def is_yaml_file(name: str) -> bool:
    """Whether the name of a layout or site profile is the path of a file, and not that of one of the package."""
    return name.endswith(_YAML_ENDINGS)


def load_layout(name: str) -> Layout:
    """Load a layout of the package by its name, or one's own by the path of its YAML file (ends in .yaml or .yml).

    The layout of a file is named by the file, without folder and ending.

    Raises LayoutError if there is none, if it contradicts itself, or if a file has the name of a layout of the package.
    """
    if not (isinstance(name, str) and is_yaml_file(name)):
        return packaged_layout(name)
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LayoutError(f"Layout {name} cannot be read: {error}.") from error
    if path.stem in layout_names():
        raise LayoutError(f"Layout {name}: {path.stem!r} is a layout of the package; give the file another name.")
    return _parsed(text, name, path.stem)


def packaged_layout(name: str) -> Layout:
    """Load a layout of the package by its name; LayoutError if there is none of that name."""
    if name not in layout_names():
        raise LayoutError(
            f"Unknown layout {name!r}; expected one of {', '.join(layout_names())}, or the path of a .yaml file."
        )
    return _packaged(name)


def parse_layout(text: str, source: str, name: str) -> Layout:
    """Read a layout from YAML; raises LayoutError naming `source` and the value that is wrong."""
    data = parse_yaml(text, source, LayoutError)
    if not isinstance(data, dict) or set(data) != {"rows"} or not isinstance(data["rows"], list) or not data["rows"]:
        raise LayoutError(f"{source}: expected one key, 'rows', with a list of rows; found {short(data)}.")
    if len(data["rows"]) > _MAX_ROWS:
        raise LayoutError(f"{source}: a layout has at most {_MAX_ROWS} rows; found {len(data['rows'])}.")
    rows = tuple(_parse_row(row, f"{source}, row {index}") for index, row in enumerate(data["rows"], 1))
    if twice := _repeated(rows):
        raise LayoutError(
            f"{source}: lead {', '.join(twice)} stands in it twice at the same time; only a rhythm strip "
            "(rhythm: true) repeats a lead, others go on at a later start_s."
        )
    return Layout(name, rows)


@cache
def _packaged(name: str) -> Layout:
    text = resources.files(__package__).joinpath("layouts", f"{name}.yaml").read_text(encoding="utf-8")
    return parse_layout(text, f"layouts/{name}.yaml", name)


def _repeated(rows: tuple[tuple[Segment, ...], ...]) -> list[str]:
    """The leads of which two stretches overlap in time, rhythm strips aside."""
    shown = (segment for row in rows for segment in row if not segment.rhythm)
    stretches = sorted((ALL_LEADS.index(each.lead), each.start_s, each.duration_s) for each in shown)
    overlapping = {
        one[0] for one, later in pairwise(stretches) if one[0] == later[0] and later[1] < one[1] + one[2] - _SAME_TIME_S
    }
    return [ALL_LEADS[index] for index in sorted(overlapping)]


@lru_cache(maxsize=64)
def _parsed(text: str, source: str, name: str) -> Layout:
    # A profile asks for its layout three times a page. The file is read each time: it may have changed.
    return parse_layout(text, source, name)


def _parse_row(row: Any, where: str) -> tuple[Segment, ...]:
    if not isinstance(row, list) or not row:
        raise LayoutError(f"{where}: expected a list of segments, found {short(row)}.")
    if len(row) > _MAX_SEGMENTS:
        raise LayoutError(f"{where}: a row has at most {_MAX_SEGMENTS} segments; found {len(row)}.")
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
    if item["lead"] not in ALL_LEADS:
        raise LayoutError(f"{where}: unknown lead {short(item['lead'])}; expected one of {', '.join(ALL_LEADS)}.")
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
