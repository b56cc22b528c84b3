"""Texts of runs that others wrote, fit for a line of a table, a terminal or a drawing."""

from collections.abc import Sequence
from typing import Final

MAX_NAME: Final = 60
_MAX_TITLE: Final = 24
_UNITS: Final = {"snr": "SNR", "db": "dB"}


def shown(text: object, most: int = MAX_NAME) -> str:
    """The text on one line, without what steers a terminal or turns its direction, and cut at `most` characters."""
    line = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(text)[: most + 1])
    return line if len(line) <= most else line[: most - 1] + "…"


def measure_title(name: str) -> str:
    """What a measure of a task is called in a table: 'snr_db' is 'SNR dB'."""
    return shown(" ".join(_UNITS.get(word, word) for word in name.split("_")), _MAX_TITLE)


def told_apart(names: Sequence[str], origins: Sequence[str]) -> tuple[str, ...]:
    """The names, those that stand several times with their origin behind, and a number where that is the same, too."""
    apart = [
        f"{name} ({origin})" if names.count(name) > 1 and origin else name
        for name, origin in zip(names, origins, strict=True)
    ]
    given: list[str] = []
    for name in apart:
        number, free = 2, name
        while free in given or (free != name and free in apart):
            number, free = number + 1, f"{name} ({number})"
        given.append(free)
    return tuple(given)


def listed(names: Sequence[str]) -> str:
    """The names as people list them: 'a, b and c'."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
