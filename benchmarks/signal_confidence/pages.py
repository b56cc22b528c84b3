"""One page read: what its reading says of its own noise, beside the decibels that it really has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.digitization.pages import make_page
from benchmarks.digitization.readings import Print
from ecg_flare.digitize.confidence import NOISE_WEIGHTS
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.errors import EcgFlareError


@dataclass(frozen=True)
class NoisyReading:
    """A page of a row: its `snr_db`, and its `noise` by source, as shares of the signal's energy without weights.

    `right` is whether layout, speed and gain are. `confidence` is the page's, `but_for_signal` that without the signal.
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
    known = _known(kept)
    for index in range(count):
        key = (row, seed, index)
        if key not in known:
            known[key] = _read(row, seed, index, data)
            if kept is not None:
                with kept.open("a", encoding="utf-8") as file:
                    found = known[key]
                    refused = {"row": row, "seed": seed, "index": index, "noise": None}
                    file.write(json.dumps(refused if found is None else asdict(found)) + "\n")
        reading = known[key]
        if reading is not None:
            yield reading


def _read(row: str, seed: int, index: int, data: Path) -> NoisyReading | None:
    page = make_page(row, seed, index, data)
    try:
        result = digitize(page.image, ReadingOptions(words="off"))
    except EcgFlareError:
        return None
    true = Print(page.layout, page.speed_mm_per_s, page.gain_mm_per_mv)
    found = Print(result.layout, result.calibration.speed_mm_per_s, result.calibration.gain_mm_per_mv)
    return NoisyReading(
        row=row,
        seed=seed,
        index=index,
        snr_db=evaluate_recording(result.recording, page.truth).snr_db_kaggle2025,
        right=found.same(true),
        confidence=result.confidence,
        but_for_signal=result.confidence_but_for_signal,
        noise={source: share / NOISE_WEIGHTS[source] for source, share in result.signal.shares.items()},
    )


def _known(kept: Path | None) -> dict[tuple[str, int, int], NoisyReading | None]:
    if kept is None or not kept.exists():
        return {}
    raw = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    return {
        (one["row"], one["seed"], one["index"]): None if one["noise"] is None else NoisyReading(**one) for one in raw
    }
