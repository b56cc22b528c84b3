"""Pages read and scored; what is kept is not read again."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from benchmarks.digitization.judging import Print, Verdict, as_read, judge, mistaken_leads, shown_leads
from benchmarks.digitization.pages import BenchmarkPage, make_page
from benchmarks.kept_readings import KeptReadings
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.segmenters import Segmenter
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.errors import EcgFlareError

SIGNAL_DB: Final = 15.0
"""A page's signal is right from here on, whatever a perfect trace of it reaches."""


@dataclass(frozen=True)
class Task:
    """Page `index` of a row drawn from a seed, for one segmenter, with its print read or not."""

    row: str
    segmenter: str
    seed: int
    index: int
    words: bool = False

    @property
    def options(self) -> ReadingOptions:
        """How the page is read: nothing is given, but for the layout of the kinds whose layout is."""
        return ReadingOptions(words="on" if self.words else "off")


@dataclass(frozen=True)
class Reading:
    """What came of one page. A page that was refused has an `error`, no `found` and no `verdict`, and scores 0 dB.

    `kind` is the page's kind within its row; `mistaken` are leads that hold the signal of another.
    """

    task: Task
    kind: str
    snr_db: float
    pcc: float
    ceiling_db: float
    peer_db: float | None
    confidence: float
    true: Print
    found: Print | None
    verdict: Verdict | None
    mistaken: Mapping[str, str]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    error: str | None = None

    @property
    def name(self) -> str:
        """Row and number of the page."""
        return f"{self.task.row}/{self.task.index}"

    @property
    def right(self) -> bool:
        """Whether layout, speed, gains and lead names are those of the page."""
        return self.verdict is not None and self.verdict.right

    @property
    def wrong(self) -> tuple[str, ...]:
        """What of a page that was read is wrong, in words; the signal below SIGNAL_DB among it."""
        if self.verdict is None:
            return ()
        found = {
            "layout": self.verdict.layout,
            "speed": self.verdict.speed,
            "gain": self.verdict.gain,
            "lead names": self.verdict.leads,
            f"{SIGNAL_DB:g} dB": self.snr_db >= SIGNAL_DB,
        }
        return tuple(name for name, right in found.items() if not right)

    @property
    def confident(self) -> bool:
        """Whether the report shows no doubt."""
        return self.confidence >= CONFIDENT


def read(task: Task, data: Path) -> Reading:
    """Make one page and read it with nothing given. Seconds are of this process's CPU."""
    page = make_page(task.row, task.seed, task.index, data)
    segmenters = _segmenters(task.segmenter)
    begun = time.process_time()
    try:
        options = replace(task.options, layout=page.given_layout)
        result = digitize(page.image, options, segmenter=segmenters)
    except EcgFlareError as error:
        spent = {"all": time.process_time() - begun}
        return _refused(task, page, error, spent)
    seconds = {**result.seconds, "all": time.process_time() - begun}
    return _scored(task, page, result, seconds)


def true_print(page: BenchmarkPage) -> Print:
    """How a page is printed."""
    gains = page.gain_mm_per_mv, page.chest_gain_mm_per_mv
    return Print(page.layout, page.speed_mm_per_s, *gains, shown_leads(page.truth))


def _refused(task: Task, page: BenchmarkPage, error: EcgFlareError, seconds: Mapping[str, float]) -> Reading:
    return Reading(
        task=task,
        kind=page.kind,
        snr_db=0.0,
        pcc=0.0,
        ceiling_db=page.ceiling_db,
        peer_db=page.peer_db,
        confidence=0.0,
        true=true_print(page),
        found=None,
        verdict=None,
        mistaken={},
        warnings=(),
        seconds=seconds,
        error=f"{type(error).__name__}: {error}",
    )


def _scored(task: Task, page: BenchmarkPage, result: Digitization, seconds: Mapping[str, float]) -> Reading:
    score = evaluate_recording(result.recording, page.truth)
    found, true = as_read(result), true_print(page)
    mistaken = mistaken_leads(result.recording, page.truth)
    return Reading(
        task=task,
        kind=page.kind,
        snr_db=score.snr_db_kaggle2025,
        pcc=score.pcc,
        ceiling_db=page.ceiling_db,
        peer_db=page.peer_db,
        confidence=result.confidence,
        true=true,
        found=found,
        verdict=judge(found, true, mistaken),
        mistaken=mistaken,
        warnings=result.warnings,
        seconds=seconds,
    )


@cache
def _segmenters(name: str) -> tuple[Segmenter, ...]:
    return load_segmenters(name)


def _read_in_processes(tasks: Sequence[Task], data: Path, jobs: int) -> Iterator[Reading]:
    # The libraries of a process read their number of threads when they are loaded.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=fresh, initializer=_one_thread) as pool:
        for done in as_completed([pool.submit(read, task, data) for task in tasks]):
            yield done.result()


def _one_thread() -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def kept(path: Path | None) -> KeptReadings[Task, Reading]:
    """The readings of a file."""
    return KeptReadings(path, lambda reading: reading.task, _from_json)


def complete(
    readings: KeptReadings[Task, Reading], tasks: Sequence[Task], data: Path, jobs: int = 1
) -> Iterator[Reading]:
    """Read the tasks that are not kept, in `jobs` processes of one thread each; yields each as it is done and kept."""
    missing = [task for task in tasks if task not in readings]
    for reading in (read(task, data) for task in missing) if jobs == 1 else _read_in_processes(missing, data, jobs):
        readings.add(reading)
        yield reading


def _from_json(raw: dict[str, Any]) -> Reading:
    found, verdict = raw["found"], raw["verdict"]
    return Reading(
        **{
            **raw,
            "task": Task(**raw["task"]),
            "true": _print(raw["true"]),
            "found": None if found is None else _print(found),
            "verdict": None if verdict is None else Verdict(**verdict),
            "warnings": tuple(raw["warnings"]),
        }
    )


def _print(raw: Mapping[str, Any]) -> Print:
    return Print(**{**raw, "leads": tuple(raw["leads"])})
