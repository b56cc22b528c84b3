"""What a machine printed of its own measurements and settings: HR, PR, QRS, QT, QTc, filters, the time of recording.

A number counts only with its label beside it on the same line, and only if hearts or machines have such numbers. A date
counts only with a time of day beside it and no word of birth: a birth date has no time. Names and identifiers are not
looked for, and the line that a number was found in is never kept as text by anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from ecg_flare.digitize.words.printed_word import PrintedWord
from ecg_flare.digitize.words.statements import LEAST_SCORE

Kind = Literal[
    "heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "high_pass_hz", "low_pass_hz", "mains_hz", "recorded_at"
]

_GAP: Final = r"[\s.:=]*"
_NUMBER: Final = r"(?P<number>[\dOol]{2,3})(?![\d.,/:-])"
_MS: Final = r"(?!\s*(?:°|deg|mm|m?v\b|hz))"  # what is no time in ms; the unit itself may be missing
_PER_MINUTE: Final = r"\s*(?:bpm|/\s*min|b/min|lpm|1/min)"
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "heart_rate_bpm": (30, 300),
    "pr_ms": (60, 500),
    "qrs_ms": (40, 300),
    "qt_ms": (180, 800),
    "qtc_ms": (200, 800),
}
_LABELS: Final[tuple[tuple[Kind, str], ...]] = (
    ("heart_rate_bpm", rf"(?<![a-z])vent(?:r\w*)?\.?\s*(?:rate|freq\w*){_GAP}{_NUMBER}(?!\s*(?:mm|hz))"),
    ("heart_rate_bpm", rf"(?<![a-z])(?:heart\s*rate|hr|hf|fc){_GAP}{_NUMBER}(?!\s*(?:mm|hz|ms))"),
    ("heart_rate_bpm", rf"(?<![a-z])(?<!atrial )(?<!atrial)rate{_GAP}{_NUMBER}{_PER_MINUTE}"),
    ("pr_ms", rf"(?<![a-z/-])p\s*-?\s*[rq](?:\s*(?:interval|int|dauer|zeit))?{_GAP}{_NUMBER}{_MS}"),
    ("qrs_ms", rf"(?<![a-z/-])[qo]rs(?:\s*-?\s*(?:duration|dur|dauer|d|interval))?{_GAP}{_NUMBER}{_MS}"),
    ("qt_ms", rf"(?<![a-z/-])qt(?:\s*(?:interval|int))?{_GAP}{_NUMBER}{_MS}"),
    ("qtc_ms", rf"(?<![a-z/-])qtc(?:\s*-?\s*(?:baz\w*|b|frid\w*|f|h))?(?:\s*interval)?{_GAP}{_NUMBER}{_MS}"),
)
_LABELLED: Final = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _LABELS)
_QT_AND_QTC: Final = re.compile(
    rf"(?<![a-z])qt\s*/\s*qtc[a-z-]*{_GAP}(?P<qt>[\dOol]{{3}})\s*/\s*(?P<qtc>[\dOol]{{3}})(?!\d)", re.IGNORECASE
)
_BAND: Final = re.compile(r"(?<![\d.,])(?P<low>0?[.,]\d{1,2}|1[.,]0)\s*[-–~]\s*(?P<high>\d{2,3})\s*hz", re.IGNORECASE)
_LOW_PASS: Final = re.compile(r"(?<![\d.,~–-])(?P<high>25|35|40|100|150|250)\s*hz", re.IGNORECASE)
_MAINS: Final = re.compile(r"(?<![\d.,])(?P<mains>50|60)\s*~")
_DATES: Final = (
    re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)[-./](?P<first>\d{1,2})[-./](?P<second>\d{1,2})(?!\d)"),
    re.compile(
        r"(?<!\d)(?P<first>\d{1,2})[-./\s](?P<second>\d{1,2}|[a-z]{3})[-./\s](?P<year>(?:19|20)\d\d)(?!\d)", re.I
    ),
)
_TIME: Final = re.compile(r"(?<![\d:])(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?!\d)")
_BIRTH: Final = re.compile(r"birth|born|dob|d\.o\.b|geb|naiss|nacim|nasc|\*\s*\d", re.IGNORECASE)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DIGITS: Final = str.maketrans({"O": "0", "o": "0", "l": "1"})


@dataclass(frozen=True)
class Finding:
    """Something that a machine printed of its measurements or settings: a number, or a time as ISO 8601.

    A time whose day and month cannot be told apart is given as it is printed.
    """

    kind: Kind
    value: float | str
    word: PrintedWord


def read_findings(words: Iterable[PrintedWord]) -> tuple[Finding, ...]:
    """Return what printed lines say of measurements and settings; what is printed in two ways is left out."""
    found = [finding for word in words if word.score >= LEAST_SCORE for finding in _findings(word)]
    values: dict[str, set[float | str]] = {}
    for finding in found:
        values.setdefault(finding.kind, set()).add(finding.value)
    return tuple(finding for finding in found if len(values[finding.kind]) == 1)


def _findings(word: PrintedWord) -> Iterator[Finding]:
    yield from (Finding(kind, value, word) for kind, value in dict.fromkeys(_measured(word.text)))
    yield from (Finding(kind, value, word) for kind, value in _filters(word.text))
    if (moment := _recorded_at(word.text)) is not None:
        yield Finding("recorded_at", moment, word)


def _measured(text: str) -> Iterator[tuple[Kind, float]]:
    for kind, pattern in _LABELLED:
        for match in pattern.finditer(text):
            if (value := _within(kind, match["number"])) is not None:
                yield kind, value
    for match in _QT_AND_QTC.finditer(text):
        qt, qtc = _within("qt_ms", match["qt"]), _within("qtc_ms", match["qtc"])
        if qt is not None and qtc is not None:
            yield "qt_ms", qt
            yield "qtc_ms", qtc


def _within(kind: str, number: str) -> float | None:
    value = float(number.translate(_DIGITS))
    low, high = _RANGES[kind]
    return value if low <= value <= high else None


def _filters(text: str) -> Iterator[tuple[Kind, float]]:
    for match in _BAND.finditer(text):
        yield "high_pass_hz", float(match["low"].replace(",", "."))
        yield "low_pass_hz", float(match["high"])
    for match in _LOW_PASS.finditer(_BAND.sub("", text)):
        yield "low_pass_hz", float(match["high"])
    for match in _MAINS.finditer(text):
        yield "mains_hz", float(match["mains"])


def _recorded_at(text: str) -> str | None:
    time = _TIME.search(text)
    if time is None or _BIRTH.search(text):
        return None
    clock = f"{int(time['hour']):02d}:{time['minute']}"
    for year_first, pattern in zip((True, False), _DATES, strict=True):
        if (match := pattern.search(text)) is not None:
            day = _day(match["year"], match["first"], match["second"], year_first=year_first)
            return f"{day}T{clock}" if day is not None else f"{match[0]} {clock}"
    return None


def _day(year: str, first: str, second: str, *, year_first: bool) -> str | None:
    """The day as ISO 8601; None where day and month may be the other way round, or where it is none."""
    if second[0].isalpha():
        month = _MONTHS.index(second.lower()) + 1 if second.lower() in _MONTHS else 0
        orders = {(month, int(first))}
    else:
        one, other = int(first), int(second)
        orders = {(one, other)} if year_first else {(one, other), (other, one)}
    days = {day for month, number in orders if (day := _valid(int(year), month, number)) is not None}
    return days.pop() if len(days) == 1 else None


def _valid(year: int, month: int, day: int) -> str | None:
    try:
        return datetime(year, month, day).date().isoformat()
    except ValueError:
        return None
