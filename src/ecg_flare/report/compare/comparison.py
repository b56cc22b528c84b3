"""Several runs side by side: who is compared, with which reference, and what each run came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ecg_flare.errors import ConfigError
from ecg_flare.report.charts import MAX_SERIES
from ecg_flare.report.compare.measured import same_pages
from ecg_flare.report.compare.steps import GradientSteps, gradient_steps
from ecg_flare.report.names import shown, told_apart
from ecg_flare.report.run import RoundRecord, Run

_MAX_ORIGIN: Final = 30


@dataclass(frozen=True)
class Named:
    """A run and what the reader calls it; without a label it has the name of its job. `origin` tells equal names apart:
    the last part of the folder that the reader gave.
    """

    run: Run
    label: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Entry:
    """A run of a comparison, under a name that no other of its runs has; `called` is the name before that was so."""

    name: str
    run: Run
    called: str

    @cached_property
    def steps(self) -> Mapping[int, GradientSteps] | None:
        """Gradient steps by round."""
        return gradient_steps(self.run)

    @property
    def trained(self) -> list[RoundRecord]:
        """The rounds whose sum was taken."""
        return [each for each in self.run.rounds if each.trained]


@dataclass(frozen=True)
class Comparison:
    """Runs in the order in which they were given, and the one that the others are measured against."""

    entries: tuple[Entry, ...]
    reference: Entry

    def comparable(self, entry: Entry) -> bool:
        """Whether its Dice is of the same public pages as the reference's."""
        return entry is self.reference or same_pages(entry.run, self.reference.run) is True

    def ratio(self, entry: Entry) -> float | None:
        """Its last Dice over the reference's; None where they are of other pages, or the reference found nothing."""
        base = self.reference.run.final.dice
        return entry.run.final.dice / base if base > 0 and self.comparable(entry) else None

    @property
    def ranked(self) -> list[Entry]:
        """Runs of the reference's pages first, those of a higher last Dice before others."""
        return sorted(self.entries, key=lambda each: (not self.comparable(each), -each.run.final.dice))


def compare(given: Sequence[Named], reference: str = "") -> Comparison:
    """Compare two to eight runs with the one named `reference`, or with the first.

    Raises ConfigError for too few runs or too many, one that is given twice, two labels that are equal, and a
    reference that is none of them.
    """
    if not 2 <= len(given) <= MAX_SERIES:
        raise ConfigError(f"{len(given)} runs are given, expected 2 to {MAX_SERIES}, which a chart can tell apart")
    folders = [each.run.folder.resolve() for each in given]
    labels = [each.label for each in given if each.label]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ConfigError(f"{folder} is given {folders.count(folder)} times, expected each run once")
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"{labels.count(label)} runs are called {label!r}, expected another name for each")
    called = [shown(each.label or each.run.job) for each in given]
    names = told_apart(called, [shown(each.origin, _MAX_ORIGIN) for each in given])
    entries = tuple(Entry(name, each.run, was) for name, each, was in zip(names, given, called, strict=True))
    chosen = [each for each in entries if each.name == (reference or entries[0].name)]
    if not chosen:
        raise ConfigError(f"the reference {reference!r} is none of the runs: {', '.join(names)}")
    return Comparison(entries, chosen[0])
