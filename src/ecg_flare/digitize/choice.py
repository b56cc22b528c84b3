"""Two readings of one page: when a second one is worth its time, and which of them is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecg_flare.digitize.confidence import CLEARLY_SURER, CONFIDENT, CONTRADICTED, WHOLE
from ecg_flare.digitize.leads.by_labels import LAYOUT_NAME as LABELS_ALONE
from ecg_flare.digitize.result import Digitization

SAME_SCALE: Final = 0.03
"""Speeds, or gains, that differ by less are the same."""


def beyond_doubt(result: Digitization) -> bool:
    """Whether no other reading of the page has to be tried: confident, and every line found from end to end.

    A page that is in doubt only by what is on the paper, few pixels or rows that touch, or by a speed or gain that
    nothing on it says, is not read better by another segmenter.
    """
    whole = all(share >= WHOLE for share in result.coverage.values())
    signal_is_best = result.signal.value >= CONFIDENT or not result.signal.may_be_read_better
    sure = result.confidence >= CONFIDENT or (signal_is_best and _doubted_by_scale_alone(result))
    return sure and whole and not result.n_gaps


def _doubted_by_scale_alone(result: Digitization) -> bool:
    """Whether layout, lines and checks leave no doubt; scale, speed and gain are measured once for all segmenters."""
    by_scale = result.confidence_but_for_signal == result.calibration.confidence
    return result.confidence_but_for_signal >= CONFIDENT or (by_scale and result.layout_confidence >= CONFIDENT)


def better_of(first: Digitization, second: Digitization) -> Digitization:
    """Return the reading that is clearly surer, or else has fewer broken lines; the first one where they are alike.

    One that no layout fits, whose rows are named by labels alone, comes after any that a layout fits: lines of shadow
    and print have labels near them, too. Two that are both sure of different layouts, speeds or gains leave no sure
    one.
    """
    if (first.layout == LABELS_ALONE) != (second.layout == LABELS_ALONE):
        return second if first.layout == LABELS_ALONE else first
    if abs(first.confidence - second.confidence) > CLEARLY_SURER:
        better = max(first, second, key=lambda result: result.confidence)
    else:
        better = min(first, second, key=lambda result: result.n_gaps)
    if min(first.confidence_but_for_signal, second.confidence_but_for_signal) < CONFIDENT or _agree(first, second):
        return better
    note = f"two readings of this page contradict each other: layouts {first.layout} and {second.layout}"
    return replace(better, confidence=min(better.confidence, CONTRADICTED), warnings=(note, *better.warnings))


def _agree(first: Digitization, second: Digitization) -> bool:
    scales = (
        (first.calibration.speed_mm_per_s, second.calibration.speed_mm_per_s),
        (first.calibration.gain_mm_per_mv, second.calibration.gain_mm_per_mv),
        (first.calibration.chest_gain_mm_per_mv, second.calibration.chest_gain_mm_per_mv),
    )
    return first.layout == second.layout and all(abs(a / b - 1.0) < SAME_SCALE for a, b in scales)
