"""What a model of ECG pages is worth to a reader: decibels of the recordings that the digitizer makes with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.plan import Plan
from ecg_flare.task.traces.printed import PrintedRecord

if TYPE_CHECKING:
    from ecg_flare.digitize.ink.segmenters import Segmenter
    from ecg_flare.digitize.result import Digitization

SNR_DB: Final = "snr_db"
REFUSED: Final = "pages_refused"
MAX_DB: Final = 100.0
"""Of a reading without an error: no page says more."""


@runtime_checkable
class PrintedSource(Protocol):
    """A source of pages that knows the recordings which they print."""

    def printed(self, site: str) -> Iterator[PrintedRecord]:
        """The site's pages at the resolution that they were scanned at, each with its recording."""
        ...


def decibels_on_pages(
    plan: Plan, model: Float32[np.ndarray, " d"], cases: SiteCases, device: str
) -> Mapping[str, float]:
    """Read every page with the model as the only segmenter, and nothing given.

    Returns the median over the pages of the SNR in dB (Kaggle 2025, pooled over a page's samples; 0 where the page was
    refused), and how many were refused. Raises ConfigError where the source knows no recordings.
    """
    from ecg_flare.task.traces.predictor import NetworkSegmenter

    if not isinstance(cases.source, PrintedSource):
        raise ConfigError(
            f"decibels need pages that were printed from known recordings. {type(cases.source).__name__} has none: "
            "take SyntheticPages or PtbxlPages, or leave the measure out"
        )
    segmenter = NetworkSegmenter(plan, model, device=device)
    found = [read_with(segmenter, printed) for printed in cases.source.printed(cases.site)]
    decibels = [0.0 if reading is None else reading.snr_db for reading in found]
    return {SNR_DB: float(np.median(decibels)), REFUSED: float(found.count(None))}


@dataclass(frozen=True, eq=False)
class PrintedReading:
    """What came of a page whose recording is known, and its SNR in dB (Kaggle 2025)."""

    result: Digitization
    snr_db: float


def read_with(segmenter: Segmenter | Sequence[Segmenter], printed: PrintedRecord) -> PrintedReading | None:
    """Read a page with these segmenters and nothing given; None where it cannot be read, for whatever reason."""
    from ecg_flare.digitize.failures import PAGE_FAILURES
    from ecg_flare.digitize.options import ReadingOptions
    from ecg_flare.digitize.pipeline import digitize

    try:
        result = digitize(printed.page.image, ReadingOptions(words="off"), segmenter=segmenter)
    except PAGE_FAILURES:
        return None
    snr_db = evaluate_recording(result.recording, printed.shown).snr_db_kaggle2025
    return PrintedReading(result, 0.0 if np.isnan(snr_db) else float(np.clip(snr_db, -MAX_DB, MAX_DB)))
