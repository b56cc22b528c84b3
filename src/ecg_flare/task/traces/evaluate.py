"""How well a network finds the traces: Dice of the trace class, page by page, as MONAI computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float32, UInt8

from ecg_flare.errors import SiteDataError
from ecg_flare.nnunet.task import DiceEvaluation
from ecg_flare.page.raster import IGNORED, Label
from ecg_flare.task.traces.page_case import PageCase


def trace_dice(predicted: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"]) -> float:
    """Dice of the trace class of two label masks, by MONAI; NaN where the truth has no trace.

    Pixels of which the truth says that nobody knows count neither way.
    """
    import torch
    from monai.metrics.meandice import compute_dice

    def one_hot(mask: UInt8[np.ndarray, "h w"]) -> torch.Tensor:
        return torch.from_numpy(mask == Label.TRACE)[None, None].float()

    known = np.where(truth == IGNORED, Label.BACKGROUND, predicted).astype(np.uint8)
    return float(compute_dice(one_hot(known), one_hot(truth), ignore_empty=True))


def evaluate_pages(
    segmenter: Callable[[UInt8[np.ndarray, "h w 3"]], Float32[np.ndarray, "classes h w"]], cases: Iterable[PageCase]
) -> DiceEvaluation:
    """Run a segmenter over pages and compare with their masks; raises SiteDataError where there is no page."""
    dice = {case.name: trace_dice(segmenter(case.image).argmax(0).astype(np.uint8), case.mask) for case in cases}
    if not dice:
        raise SiteDataError("there are no pages to evaluate on: the source gave none")
    return DiceEvaluation(dice)
