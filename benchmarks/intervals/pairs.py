"""One page's intervals beside those of its recording, and the file that keeps them, so that a run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.digitization.pages import make_page
from benchmarks.kept_readings import KeptReadings
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.ecg.intervals.measure import measure_intervals
from ecg_flare.errors import EcgFlareError

Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Task:
    """Page `index` of a row of the digitization benchmark, drawn from a seed."""

    row: str
    seed: int
    index: int


@dataclass(frozen=True)
class Pair:
    """Intervals measured on a page, on what it prints, and on the whole recording; by name, None if not measured.

    A page that was refused has confidence 0 and no intervals.
    """

    task: Task
    layout: str
    confidence: float
    page: Values
    printed: Values
    whole: Values


def measure_pair(task: Task, data: Path) -> Pair:
    """Make a page, read it with nothing given, and measure all three."""
    page = make_page(task.row, task.seed, task.index, data)
    printed, whole = (dict(measure_intervals(one).values) for one in (page.truth, page.whole))
    try:
        result = digitize(page.image, ReadingOptions(words="off"))
    except EcgFlareError:
        return Pair(task, page.layout, 0.0, dict.fromkeys(whole), printed, whole)
    return Pair(task, page.layout, result.confidence, dict(result.intervals.values), printed, whole)


def complete(tasks: Sequence[Task], data: Path, path: Path | None) -> Iterator[Pair]:
    """Yield the pairs of all tasks; those that the file at `path` lacks are measured and appended to it."""
    pairs: KeptReadings[Task, Pair] = KeptReadings(path, lambda pair: pair.task, _from_json)
    for task in tasks:
        if task not in pairs:
            pairs.add(measure_pair(task, data))
        yield pairs[task]


def _from_json(raw: dict[str, Any]) -> Pair:
    return Pair(**{**raw, "task": Task(**raw["task"])})
