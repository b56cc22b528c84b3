"""Whether columns go on in time or all show the same stretch: where they do, their beats stand at one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from ecg_flare.digitize.beats import Signal, activity
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.physiology import correlation
from ecg_flare.digitize.trace.raster import RASTER_MM, RowRaster

ColumnTimes = Literal["consecutive", "simultaneous"]

SMOOTHING_S: Final = 0.04  # beats are compared to within a QRS complex
WITH_FIRST: Final = 0.9  # correlation of columns that beat together, where nothing else is known
WITH_STRIP, STRIP_LEAD = 0.6, 0.15  # the same, and by how much they fit the strip's first column better than their own


def column_times(rows: RowRaster, spans: Sequence[LeadSpan], speed_mm_per_s: float) -> ColumnTimes:
    """Tell columns that go on in time from columns that all begin at the same time."""
    short = [span for span in spans if not span.is_rhythm]
    lefts = sorted({round(span.left_px, 1) for span in short})
    if len(lefts) < 2:
        return "consecutive"
    length = min(int((span.right_px - span.left_px) / (RASTER_MM * rows.scale.x)) for span in short)
    width = round(SMOOTHING_S * speed_mm_per_s / RASTER_MM)
    begin = [int(np.searchsorted(rows.x_px, left)) for left in lefts]
    beats = [
        activity([rows.y_mm[span.row, b : b + length] for span in short if round(span.left_px, 1) == left], width)
        for left, b in zip(lefts, begin, strict=True)
        if b + length <= len(rows.x_px)
    ]
    if len(beats) < 2:
        return "consecutive"
    with_first = float(np.median([correlation(beat, beats[0]) for beat in beats[1:]]))
    strips = [span.row for span in spans if span.is_rhythm]
    if not strips:
        return "simultaneous" if with_first > WITH_FIRST else "consecutive"
    on = [activity(list(rows.y_mm[strips, b : b + length]), width) for b in begin[: len(beats)]]
    together = _fit_first_column(beats, on) and with_first > WITH_STRIP
    return "simultaneous" if together else "consecutive"


def _fit_first_column(beats: Sequence[Signal], on_strip: Sequence[Signal]) -> bool:
    """Whether all columns fit the strip's first column clearly better than the part of it under themselves."""
    here = float(np.median([correlation(beat, own) for beat, own in zip(beats[1:], on_strip[1:], strict=True)]))
    at_first = float(np.median([correlation(beat, on_strip[0]) for beat in beats[1:]]))
    return at_first > here + STRIP_LEAD
