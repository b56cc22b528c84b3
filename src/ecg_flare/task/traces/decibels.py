"""What a model of ECG pages is worth to a reader: decibels of the recordings that the digitizer makes with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.errors import ConfigError, PageError
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.plan import Plan
from ecg_flare.task.traces.printed import PrintedRecord

if TYPE_CHECKING:
    from ecg_flare.task.traces.predictor import NetworkSegmenter

SNR_DB: Final = "snr_db"
REFUSED: Final = "pages_refused"


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
    decibels = [_decibels(printed, segmenter) for printed in cases.source.printed(cases.site)]
    read = [0.0 if value is None else value for value in decibels]
    return {SNR_DB: float(np.median(read)), REFUSED: float(decibels.count(None))}


def _decibels(printed: PrintedRecord, segmenter: NetworkSegmenter) -> float | None:
    """SNR of a page read with this segmenter, in dB; None where the page was refused."""
    from ecg_flare.digitize.options import ReadingOptions
    from ecg_flare.digitize.pipeline import digitize

    try:
        result = digitize(printed.page.image, ReadingOptions(words="off"), segmenter=segmenter)
    except PageError:
        return None
    return float(evaluate_recording(result.recording, printed.shown).snr_db_kaggle2025)
