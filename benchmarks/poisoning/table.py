"""Finished runs: kept as JSON lines, shown as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.markdown import row
from benchmarks.poisoning.federation import Outcome, Size
from benchmarks.poisoning.poisons import POISONS, Poison
from benchmarks.run_lines import Determined, RunLines

FEDAVG: Final = "FedAvg"


@dataclass(frozen=True)
class RunRequest(Determined):
    """What determines a run's result: the rule with its settings, the poison, the seed, the size, and the pages."""

    rule: str
    poison: Poison
    seed: int
    size: Size
    pages: str


@dataclass(frozen=True)
class Run:
    """A finished run, and the CPU seconds that it took."""

    request: RunRequest
    outcome: Outcome
    cpu_s: float

    @property
    def key(self) -> str:
        """The key of its request."""
        return self.request.key


class RunFile(RunLines[Run]):
    """The finished runs."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, run_from_json)


def run_from_json(document: dict[str, Any]) -> Run:
    """The run that `asdict` and JSON made a document of."""
    request, outcome = document["request"], document["outcome"]
    return Run(
        RunRequest(**{**request, "size": Size(**request["size"])}),
        Outcome(**{**outcome, "failures": tuple(outcome["failures"])}),
        document["cpu_s"],
    )


def dice_table(runs: Sequence[Run]) -> str:
    """Rules as rows and poisons as columns of Markdown: Dice, mean over seeds with the smallest and the largest."""
    rules = list(dict.fromkeys(run.request.rule for run in runs))
    poisons = list(dict.fromkeys(run.request.poison for run in runs))
    lines = [row("rule", *(POISONS[poison] for poison in poisons)), row(*["---"] * (1 + len(poisons)))]
    for rule in rules:
        cells = [
            [run for run in runs if (run.request.rule, run.request.poison) == (rule, poison)] for poison in poisons
        ]
        lines.append(row(rule, *map(_cell, cells)))
    return "\n".join(lines)


def failure_lines(runs: Sequence[Run]) -> str:
    """A line for each run with refused updates or failed rounds."""
    return "\n".join(
        f"{run.request.rule}, {POISONS[run.request.poison]}, seed {run.request.seed}: {'; '.join(run.outcome.failures)}"
        for run in runs
        if run.outcome.failures
    )


def _cell(runs: Sequence[Run]) -> str:
    if not runs:
        return ""
    dice = [run.outcome.dice for run in runs]
    spread = f" ({min(dice):.3f} to {max(dice):.3f})" if len(dice) > 1 else ""
    return f"{statistics.fmean(dice):.3f}{spread}"
