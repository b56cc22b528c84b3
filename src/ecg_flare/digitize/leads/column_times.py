"""Whether columns go on in time or all show the same stretch: where they do, their beats stand at one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ecg_flare.digitize.beats import MIN_SAMPLES, Signal, activity
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.physiology import correlation
from ecg_flare.digitize.trace.raster import RASTER_MM, RowRaster

ColumnTimes = Literal["consecutive", "simultaneous"]


@dataclass(frozen=True)
class TimesReading:
    """Whether columns go on in time; `sure` is whether their beats leave no doubt about it."""

    times: ColumnTimes
    sure: bool = True


SMOOTHING_S: Final = 0.04  # beats are compared to within a QRS complex
WITH_FIRST: Final = 0.7  # correlation of columns that beat together, where nothing else is known
ALONE_WITH_FIRST: Final = 0.8
"""The same of a lone second column, which a steady heart meets by chance: of 300 recordings of PTB-XL the chest leads
beat so with the limb leads in 99.3 % of the same 5 s, and in none of the next 5 s."""

SURELY_WITH_FIRST: Final = 0.97  # of a lone second column, as it is read off paper
APART: Final = 0.5  # columns that are less alike beat at different times
WITH_STRIP, STRIP_LEAD = 0.6, 0.15  # the same, and by how much they fit the strip's first column better than their own


def column_times(rows: RowRaster, spans: Sequence[LeadSpan], speed_mm_per_s: float) -> TimesReading:
    """Tell columns that go on in time from columns that all begin at the same time."""
    short = [span for span in spans if not span.is_rhythm]
    lefts = sorted({round(span.left_px, 1) for span in short})
    if len(lefts) < 2:
        return TimesReading("consecutive")
    width = round(SMOOTHING_S * speed_mm_per_s / RASTER_MM)
    begin = [int(np.searchsorted(rows.x_px, left)) for left in lefts]
    length = min(int((span.right_px - span.left_px) / (RASTER_MM * rows.scale.x)) for span in short)
    length = min(length, len(rows.x_px) - begin[-1])
    if length < MIN_SAMPLES:
        return TimesReading("consecutive", sure=False)
    beats = [
        activity([rows.y_mm[span.row, b : b + length] for span in short if round(span.left_px, 1) == left], width)
        for left, b in zip(lefts, begin, strict=True)
    ]
    alike = [correlation(beat, beats[0]) for beat in beats[1:]]
    with_first = float(np.median(alike))
    strips = [span.row for span in spans if span.is_rhythm]
    if not strips:
        return _by_beats_alone(alike)
    on = [activity(list(rows.y_mm[strips, b : b + length]), width) for b in begin]
    here, at_first = _fits_of_strip(beats, on)
    if at_first > here + STRIP_LEAD and with_first > WITH_STRIP:
        return TimesReading("simultaneous")
    return TimesReading("consecutive", here > at_first + STRIP_LEAD or with_first < APART)


def _by_beats_alone(alike: Sequence[float]) -> TimesReading:
    """Judge by how alike each later column beats to the first one, where no strip shows the time."""
    together, surely = (ALONE_WITH_FIRST, SURELY_WITH_FIRST) if len(alike) == 1 else (WITH_FIRST, WITH_FIRST)
    if float(np.median(alike)) > together:
        return TimesReading("simultaneous", min(alike) > surely)
    return TimesReading("consecutive", min(alike) < APART)


def _fits_of_strip(beats: Sequence[Signal], on_strip: Sequence[Signal]) -> tuple[float, float]:
    """Return how well the later columns fit the part of the strip under themselves, and the strip's first column."""
    here = float(np.median([correlation(beat, own) for beat, own in zip(beats[1:], on_strip[1:], strict=True)]))
    return here, float(np.median([correlation(beat, on_strip[0]) for beat in beats[1:]]))
