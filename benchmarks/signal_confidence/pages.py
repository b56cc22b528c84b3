"""One page read: what its reading says of its own noise, beside the decibels that it really has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.digitization.judging import as_read, judge
from benchmarks.digitization.pages import make_page
from benchmarks.digitization.readings import true_print
from benchmarks.kept_readings import KeptReadings
from ecg_flare.digitize.confidence import NOISE_WEIGHTS
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.errors import EcgFlareError


@dataclass(frozen=True)
class NoisyReading:
    """A page of a row: its `snr_db`, and its `noise` by source, as shares of the signal's energy without weights.

    A page that was refused has no noise. `right` is whether layout, speed and gain are. `confidence` is the page's,
    `but_for_signal` that without the signal.
    """

    row: str
    seed: int
    index: int
    snr_db: float
    right: bool
    confidence: float
    but_for_signal: float
    noise: Mapping[str, float]


def readings(row: str, seed: int, count: int, data: Path, kept: Path | None) -> Iterator[NoisyReading]:
    """Yield the reading of each page of a row that was not refused; those that the file `kept` has are not read."""
    known: KeptReadings[tuple[str, int, int], NoisyReading] = KeptReadings(
        kept, lambda one: (one.row, one.seed, one.index), lambda raw: NoisyReading(**raw)
    )
    for index in range(count):
        key = (row, seed, index)
        if key not in known:
            known.add(_read(row, seed, index, data))
        if known[key].noise:
            yield known[key]


def _read(row: str, seed: int, index: int, data: Path) -> NoisyReading:
    page = make_page(row, seed, index, data)
    try:
        result = digitize(page.image, ReadingOptions(words="off"))
    except EcgFlareError:
        return NoisyReading(row, seed, index, 0.0, right=False, confidence=0.0, but_for_signal=0.0, noise={})
    verdict = judge(as_read(result), true_print(page), {})
    return NoisyReading(
        row=row,
        seed=seed,
        index=index,
        snr_db=evaluate_recording(result.recording, page.truth).snr_db_kaggle2025,
        right=verdict.layout and verdict.speed and verdict.gain,
        confidence=result.confidence,
        but_for_signal=result.confidence_but_for_signal,
        noise={source: share / NOISE_WEIGHTS[source] for source, share in result.signal.shares.items()},
    )
