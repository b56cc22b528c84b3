"""Several runs side by side: who is compared, with which reference, and what each run came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Final

from ecg_flare.errors import ConfigError
from ecg_flare.report.charts import MAX_SERIES
from ecg_flare.report.compare.measured import same_pages
from ecg_flare.report.compare.steps import GradientSteps, gradient_steps
from ecg_flare.report.names import MAX_NAME, shown, told_apart
from ecg_flare.report.run import Run

_MAX_ORIGIN: Final = 30


@dataclass(frozen=True)
class Named:
    """A run and what the reader calls it.

    label: a name instead of that of its job; runs of one label are repeats of one method.
    origin: tells equal names apart: the last part of the folder that the reader gave.
    """

    run: Run
    label: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Entry:
    """A run of a comparison.

    name: that no other of its runs has.
    called: what it was called before it was told apart from others.
    method: what it is one of several runs of; its own name where there are no others.
    """

    name: str
    run: Run
    called: str
    method: str

    @cached_property
    def steps(self) -> Mapping[int, GradientSteps] | None:
        """Gradient steps by round."""
        return gradient_steps(self.run)


@dataclass(frozen=True)
class Comparison:
    """Runs in the order in which they were given; `reference` is the first run of the reference method."""

    entries: tuple[Entry, ...]
    reference: Entry

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, in order of appearance."""
        return tuple(dict.fromkeys(each.method for each in self.entries))

    @property
    def repeated(self) -> bool:
        """Whether a method has several runs."""
        return len(self.methods) < len(self.entries)

    def of(self, method: str) -> list[Entry]:
        """The runs of a method."""
        return [each for each in self.entries if each.method == method]

    def alike(self, method: str) -> list[Entry]:
        """Those of them whose Dice has a mean: of the reference's public pages or, where none is, of the first's."""
        runs = self.of(method)
        same = [each for each in runs if self.comparable(each)]
        return same or [each for each in runs if each is runs[0] or same_pages(each.run, runs[0].run)]

    def is_reference(self, entry: Entry) -> bool:
        """Whether it is a run of the method that the others are measured against."""
        return entry.method == self.reference.method

    def comparable(self, entry: Entry) -> bool:
        """Whether its Dice is of the same public pages as the reference's."""
        return entry is self.reference or same_pages(entry.run, self.reference.run) is True

    @cached_property
    def base(self) -> float:
        """The last Dice of the reference, the mean over its runs."""
        return fmean(each.run.final.dice for each in self.alike(self.reference.method))

    def ratio(self, entry: Entry) -> float | None:
        """Its last Dice over the reference's; None where they are of other pages, or the reference found nothing."""
        return entry.run.final.dice / self.base if self.base > 0 and self.comparable(entry) else None

    @property
    def ranked(self) -> list[Entry]:
        """Runs of the reference's pages first, those of a higher last Dice before others."""
        return sorted(self.entries, key=lambda each: (not self.comparable(each), -each.run.final.dice))


def compare(given: Sequence[Named], reference: str = "") -> Comparison:
    """Compare runs of up to eight methods with the method named `reference`, or with that of the first run.

    Raises ConfigError for fewer than two runs or too many methods, a run that is given twice or was never measured, a
    label that is too long, and a reference that is none of the methods.
    """
    if len(given) < 2:
        raise ConfigError(f"{len(given)} runs are given, expected two or more")
    folders = [each.run.folder.resolve() for each in given]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ConfigError(f"{folder} is given {folders.count(folder)} times, expected each run once")
    for each in given:
        if len(each.label) > MAX_NAME:
            raise ConfigError(f"the name {each.label!r} has {len(each.label)} letters, expected at most {MAX_NAME}")
        if not each.run.measured:
            raise ConfigError(f"{each.run.folder} has no Dice to compare by: its server had no public data")
    entries = _entries(given)
    methods = list(dict.fromkeys(each.method for each in entries))
    if len(methods) > MAX_SERIES:
        raise ConfigError(
            f"{len(methods)} methods are given, expected at most {MAX_SERIES}: a chart tells no more apart"
        )
    chosen = [each for each in entries if each.method == (reference or methods[0])]
    if not chosen:
        raise ConfigError(f"the reference {shown(reference)!r} is none of the runs: {', '.join(methods)}")
    return Comparison(entries, chosen[0])


def _entries(given: Sequence[Named]) -> tuple[Entry, ...]:
    labels = [each.label for each in given if each.label]
    called = [shown(each.label or each.run.job) for each in given]
    names = told_apart(called, [shown(each.origin, _MAX_ORIGIN) for each in given])
    return tuple(
        Entry(name, each.run, was, was if labels.count(each.label) > 1 else name)
        for name, each, was in zip(names, given, called, strict=True)
    )
