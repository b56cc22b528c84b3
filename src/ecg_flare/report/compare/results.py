"""The final table of a comparison, as values."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ecg_flare.privacy.delta import promises
from ecg_flare.privacy.events import Unit
from ecg_flare.report.agreed import site_names
from ecg_flare.report.compare.comparison import Comparison, Entry


@dataclass(frozen=True)
class Epsilon:
    """What was spent, by Rényi accounting, and of which promise: epsilons of two promises are no measure of each other.

    `hides` is False where such a delta allows to publish one unit's data whole.
    """

    value: float
    delta: float
    unit: Unit
    hides: bool = True


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        name: of the run in the comparison.
        method: that it is a run of.
        is_reference: whether the others are measured against it, or against the mean of it and its repeats.
        dice: trace Dice on the public pages after the last round.
        ratio: of that to the reference's; None where it has no meaning.
        best_dice, best_round: the highest Dice, and the round that had it.
        rounds, planned: the last round, and how many the job has.
        steps_in_a_row, steps_of_all: gradient steps, as `GradientSteps`; None where the run does not say.
        steps_are_expected: whether the latter is a mean, as patients are drawn in secret.
        private: whether the run promises privacy.
        epsilon: what it spent of it; None where there is no promise, or none was recorded.
        bytes_down, bytes_up: of models and updates, all sites and rounds; None where none were recorded.
        seconds: wall seconds at the server; None likewise.
        sites: how many are on the roster.
    """

    name: str
    method: str
    is_reference: bool
    dice: float
    ratio: float | None
    best_dice: float
    best_round: int
    rounds: int
    planned: int
    steps_in_a_row: int | None
    steps_of_all: float | None
    steps_are_expected: bool
    private: bool
    epsilon: Epsilon | None
    bytes_down: int | None
    bytes_up: int | None
    seconds: float | None
    sites: int

    @property
    def traffic(self) -> int | None:
        """Bytes both ways."""
        return None if self.bytes_down is None or self.bytes_up is None else self.bytes_down + self.bytes_up


@dataclass(frozen=True)
class MethodResult:
    """What the runs of a method came to that are of the same public pages.

    Attributes:
        name: of the method.
        is_reference: whether the others are measured against it.
        runs: how many.
        dice: mean of their last Dice; `least` and `most` are the lowest and the highest.
        spread: standard deviation over the runs (n - 1); None of a single one.
        ratio: of the mean to the reference's; None where it has no meaning.
    """

    name: str
    is_reference: bool
    runs: int
    dice: float
    spread: float | None
    least: float
    most: float
    ratio: float | None


def method_results(comparison: Comparison) -> tuple[MethodResult, ...]:
    """A line for each method, in the order of the table."""
    found = [_method(name, comparison) for name in comparison.methods]
    return tuple(sorted(found, key=lambda each: (each.ratio is None, -each.dice)))


def _method(name: str, comparison: Comparison) -> MethodResult:
    runs = comparison.alike(name)
    dice = [each.run.final.dice for each in runs]
    mean = statistics.fmean(dice)
    return MethodResult(
        name=name,
        is_reference=name == comparison.reference.method,
        runs=len(dice),
        dice=mean,
        spread=statistics.stdev(dice) if len(dice) > 1 else None,
        least=min(dice),
        most=max(dice),
        ratio=mean / comparison.base if comparison.comparable(runs[0]) and comparison.base > 0 else None,
    )


def results(comparison: Comparison) -> tuple[Result, ...]:
    """A line for each run, the best first."""
    return tuple(_result(each, comparison) for each in comparison.ranked)


def promises_differ(rows: Sequence[Result]) -> bool:
    """Whether two of the runs spent epsilon of different deltas or units."""
    return len({(each.epsilon.delta, each.epsilon.unit) for each in rows if each.epsilon}) > 1


def _result(entry: Entry, comparison: Comparison) -> Result:
    run, steps = entry.run, (entry.steps or {}).get(entry.run.final.index)
    down, up = (sum(getattr(each, way) for each in run.rounds) or None for way in ("bytes_down", "bytes_up"))
    return Result(
        name=entry.name,
        method=entry.method,
        is_reference=comparison.is_reference(entry),
        dice=run.final.dice,
        ratio=comparison.ratio(entry),
        best_dice=run.best.dice,
        best_round=run.best.index,
        rounds=run.final.index,
        planned=run.terms.rounds,
        steps_in_a_row=None if steps is None else steps.in_a_row,
        steps_of_all=None if steps is None else steps.of_all,
        steps_are_expected=run.terms.sampling is not None,
        private=run.terms.private,
        epsilon=_epsilon(entry),
        bytes_down=down,
        bytes_up=up,
        seconds=sum(each.seconds for each in run.rounds) or None,
        sites=len(site_names(run.terms)),
    )


def _epsilon(entry: Entry) -> Epsilon | None:
    terms, spent = entry.run.terms, entry.run.final.epsilon_rdp
    if terms.delta is None or spent is None:
        return None
    return Epsilon(spent, terms.delta, terms.unit, promises(terms.delta, terms.units))
