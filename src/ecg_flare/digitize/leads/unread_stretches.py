"""Level ink beside a lead that no line runs through: a line was lost there, and another row's was followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.beside import row_distance_px, span_beside
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.trace.raster import RASTER_MM

NEAR: Final = 0.35
"""Of the distance of rows: so near to a row's level its lines rest."""


@dataclass(frozen=True)
class UnreadStretch:
    """Level ink at `lead`'s height, from `time_s` on.

    `energy` is what the lead loses if that ink is its line, in mV^2 times seconds: by how far the line that was read
    runs from it.
    """

    lead: str
    time_s: float
    energy: float


def unread_stretches(
    lines: PageLines, spans: Sequence[LeadSpan], gain_of: Callable[[str], float]
) -> tuple[UnreadStretch, ...]:
    """Return the level pieces of ink at a row's resting height that no line explains.

    `spans` are in the pixels of `lines`; `gain_of` gives a lead's mm/mV.
    """
    scale, levels = lines.raster.scale, lines.raster.level_px
    near = NEAR * row_distance_px(levels, scale.y)
    found = []
    for piece in lines.unread.level:
        span, middle_y = span_beside(piece, levels, spans), piece.middle_px[1]
        if span is None or abs(levels[span.row] - middle_y) > near:
            continue
        columns = (lines.raster.x_px >= piece.left_px) & (lines.raster.x_px <= piece.left_px + piece.width_px)
        read_mm, ink_mm = lines.raster.y_mm[span.row, columns], (levels[span.row] - middle_y) / scale.y
        if np.isfinite(read_mm).any() and float(np.nanmedian(np.abs(read_mm))) < abs(ink_mm):
            continue  # the line that was read is nearer to the row's level: this ink is print, or the paper's edge
        apart_mm = read_mm - ink_mm
        apart_mv = np.nan_to_num(apart_mm, nan=near / scale.y) / gain_of(span.lead)
        energy = float((apart_mv**2).sum()) * RASTER_MM * scale.x * span.seconds_per_px
        time_s = span.start_s + (piece.left_px - span.left_px) * span.seconds_per_px
        found.append(UnreadStretch(span.lead, time_s, energy))
    return tuple(found)
