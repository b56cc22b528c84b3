"""One page read and scored, and the file that keeps what was read, so that a run that was killed goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.digitization.pages import BenchmarkPage, make_page
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.segmenters import Segmenter
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.errors import EcgFlareError, StorageError

TOLERANCE: Final = 0.03  # of speed and gain


@dataclass(frozen=True)
class Print:
    """How a page is printed: truly, or as it was read."""

    layout: str
    speed_mm_per_s: float
    gain_mm_per_mv: float

    def same(self, other: Print) -> bool:
        """Whether layout, speed and gain agree."""
        return (
            self.layout == other.layout
            and abs(self.speed_mm_per_s / other.speed_mm_per_s - 1) < TOLERANCE
            and abs(self.gain_mm_per_mv / other.gain_mm_per_mv - 1) < TOLERANCE
        )


@dataclass(frozen=True)
class Task:
    """Page `index` of a row drawn from a seed, for one segmenter."""

    row: str
    segmenter: str
    seed: int
    index: int


@dataclass(frozen=True)
class Reading:
    """What came of one page. A page that was refused has an `error`, no `found`, and scores 0 dB."""

    task: Task
    snr_db: float
    pcc: float
    ceiling_db: float
    peer_db: float | None
    confidence: float
    true: Print
    found: Print | None
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    error: str | None = None

    @property
    def name(self) -> str:
        """Row and number of the page."""
        return f"{self.task.row}/{self.task.index}"

    @property
    def right(self) -> bool:
        """Whether layout, speed and gain are those of the page."""
        return self.found is not None and self.found.same(self.true)

    @property
    def confident(self) -> bool:
        """Whether the report shows no doubt."""
        return self.confidence >= CONFIDENT


def read(task: Task, data: Path) -> Reading:
    """Make one page and read it with nothing given. Seconds are of this process's CPU."""
    page = make_page(task.row, task.seed, task.index, data)
    true = Print(page.layout, page.speed_mm_per_s, page.gain_mm_per_mv)
    segmenters = _segmenters(task.segmenter)
    begun = time.process_time()
    try:
        result = digitize(page.image, segmenter=segmenters)
    except EcgFlareError as error:
        spent = {"all": time.process_time() - begun}
        reason = f"{type(error).__name__}: {error}"
        return Reading(task, 0.0, 0.0, page.ceiling_db, page.peer_db, 0.0, true, None, (), spent, reason)
    seconds = {**result.seconds, "all": time.process_time() - begun}
    return _scored(task, page, true, result, seconds)


def _scored(
    task: Task, page: BenchmarkPage, true: Print, result: Digitization, seconds: Mapping[str, float]
) -> Reading:
    score = evaluate_recording(result.recording, page.truth)
    found = Print(result.layout, result.calibration.speed_mm_per_s, result.calibration.gain_mm_per_mv)
    return Reading(
        task=task,
        snr_db=score.snr_db_kaggle2025,
        pcc=score.pcc,
        ceiling_db=page.ceiling_db,
        peer_db=page.peer_db,
        confidence=result.confidence,
        true=true,
        found=found,
        warnings=result.warnings,
        seconds=seconds,
    )


@cache
def _segmenters(name: str) -> tuple[Segmenter, ...]:
    return load_segmenters(name)


class ReadingFile:
    """Readings as JSON lines: each is appended as soon as it is done, so that a kill loses only the one at work."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[Task, Reading] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                reading = _parsed(line, path)
                self._known[reading.task] = reading

    def readings(self, tasks: Iterable[Task], data: Path) -> Iterator[Reading]:
        """Yield the reading of each task, those that the file lacks read now."""
        for task in tasks:
            if task not in self._known:
                self._known[task] = read(task, data)
                self._append(self._known[task])
            yield self._known[task]

    def _append(self, reading: Reading) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(reading)) + "\n")


def _parsed(line: str, path: Path) -> Reading:
    try:
        raw = json.loads(line)
        found = Print(**raw["found"]) if raw["found"] is not None else None
        return Reading(
            **{
                **raw,
                "task": Task(**raw["task"]),
                "true": Print(**raw["true"]),
                "found": found,
                "warnings": tuple(raw["warnings"]),
            }
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} has a line that is no reading ({error}): remove it, or name another file"
        ) from error
