"""One page's intervals beside those of its recording, and the file that keeps them, so that a run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.digitization.pages import make_page
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.ecg.intervals.measure import measure_intervals
from ecg_flare.errors import EcgFlareError, StorageError

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
    known = {} if path is None or not path.exists() else _read(path)
    for task in tasks:
        if task not in known:
            known[task] = measure_pair(task, data)
            if path is not None:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(known[task])) + "\n")
        yield known[task]


def _read(path: Path) -> dict[Task, Pair]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        pairs = [Pair(**{**line, "task": Task(**line["task"])}) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} has a line that is no pair ({error}): remove it, or name another file") from error
    return {pair.task: pair for pair in pairs}
