"""What is read of the print on 17 real pages, beside what stands there: right, wrong, or not read.

    python -m benchmarks.printed_words

The pages are those of benchmarks.real_pages. What they print was written down by eye (PRINTED): two print a speed, a
gain and filters; one prints them cut off at half their height, the others nothing whole. All print is read (`--words
all`) with the classical segmenter, as which one reads the traces means nothing to it. Needs the extra `words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import click
from tqdm import tqdm

from benchmarks.markdown import row
from benchmarks.real_data import data_root
from ecg_flare.digitize import digitize
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.result import Digitization
from ecg_flare.errors import PageError
from ecg_flare.page.reader import list_pages, read_page

Printed = Mapping[str, float]
"""Values by what they are: `speed` in mm/s, `gain` in mm/mV, filters in Hz, intervals in ms."""

PRINTED: Final[Mapping[str, Printed]] = MappingProxyType(
    {
        "ecg00002": {"speed": 25.0, "gain": 10.0, "low_pass_hz": 40.0},
        "ecg00014": {"speed": 25.0, "gain": 10.0, "high_pass_hz": 0.05, "low_pass_hz": 150.0, "mains_hz": 60.0},
    }
)
"""By page; a page that is not here prints no such value whole."""


@dataclass(frozen=True)
class Judged:
    """What of a page's print was read rightly, read wrongly, and not read, by what it is."""

    right: tuple[str, ...]
    wrong: tuple[str, ...]
    missed: tuple[str, ...]


def judged(found: Iterable[tuple[str, float]], printed: Printed) -> Judged:
    """Compare what was read, pairs of what it is and its value, with what a page prints."""
    seen = dict.fromkeys(found)
    right = tuple(f"{kind} {value:g}" for kind, value in seen if printed.get(kind) == value)
    wrong = tuple(f"{kind} {value:g}" for kind, value in seen if printed.get(kind) != value)
    known = {kind for kind, _ in seen}
    return Judged(right, wrong, tuple(f"{kind} {value:g}" for kind, value in printed.items() if kind not in known))


def read_print(result: Digitization) -> list[tuple[str, float]]:
    """Return what was read: what the page says of its paper, and what the machine measured; times left out."""
    statements = [(one.kind, one.value) for one in result.calibration.printed.statements]
    return statements + [(one.kind, one.value) for one in result.findings if isinstance(one.value, int | float)]


def _row(name: str, result: Digitization | None) -> tuple[str, ...]:
    if result is None:
        return name, "page refused", "", ", ".join(f"{kind} {value:g}" for kind, value in PRINTED.get(name, {}).items())
    found = judged(read_print(result), PRINTED.get(name, {}))
    return name, *(", ".join(part) or "-" for part in (found.right, found.wrong, found.missed))


@click.command()
def main() -> None:
    """Read the print of the real pages."""
    options = ReadingOptions(words="all", segmenter="classical")
    click.echo("\n".join((row("page", "right", "wrong", "not read"), row(*["---"] * 4))))
    for page in tqdm(list_pages([data_root() / "real_pages"]).pages, unit="page", disable=None):
        try:
            result: Digitization | None = digitize(read_page(page).image, options)
        except PageError:
            result = None
        click.echo(row(*_row(page.name, result)))


if __name__ == "__main__":
    main()
