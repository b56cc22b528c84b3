"""Steep ink beside a lead that no line runs through: how much of a signal would be lost if it were the lead's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.beside import row_distance_px, span_beside
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.trace.unread_ink import InkPiece

BEYOND: Final = 0.7
"""Of the distance of rows: so far above the first and below the last one ink may be a row's."""

LETTER_MM: Final = 4.0
"""Labels are seldom printed higher."""

BORDER_MM: Final = 1.0
"""Ink so near to a lead's ends is a bar that parts the columns, or a pulse, unless the lead's line goes on from it."""

JOINED_PX: Final = 2.0
"""From ink to the line that goes on from it."""

AT_A_BEAT_S: Final = 0.12
"""From a beat to its steep strokes: further away no heart makes any."""


@dataclass(frozen=True)
class UnreadStroke:
    """An upright piece of ink, `height_mm` of paper high, nearest to `lead`, at `time_s`.

    `energy` is what it takes from the lead if it is a peak's: that of a triangle, in mV^2 times seconds.
    """

    lead: str
    time_s: float
    height_mm: float
    energy: float

    @property
    def is_tall(self) -> bool:
        """Whether it is higher than the letters of a label."""
        return self.height_mm > LETTER_MM


def unread_strokes(
    lines: PageLines, spans: Sequence[LeadSpan], gain_of: Callable[[str], float]
) -> tuple[UnreadStroke, ...]:
    """Return the upright pieces of ink that no line explains, over the stretch that the rows print.

    `spans` are in the pixels of `lines`; `gain_of` gives a lead's mm/mV.
    """
    scale, levels = lines.raster.scale, np.array(lines.levels_px)
    beyond = BEYOND * row_distance_px(levels, scale.y)
    found = []
    for piece in lines.unread.steep:
        span = span_beside(piece, levels, spans)
        near = piece.top_px + piece.height_px > levels[0] - beyond and piece.top_px < levels[-1] + beyond
        if span is None or not near or not piece.is_upright:
            continue
        middle_x = piece.middle_px[0]
        at_end = min(middle_x - span.left_px, span.right_px - middle_x) < BORDER_MM * scale.x + piece.width_px / 2
        if at_end and not _begins_or_ends(lines.rows[span.row], piece):
            continue
        height_mm = piece.height_px / scale.y
        seconds = max(piece.width_px, lines.pen_px) * span.seconds_per_px
        time_s = span.start_s + (middle_x - span.left_px) * span.seconds_per_px
        found.append(UnreadStroke(span.lead, time_s, height_mm, (height_mm / gain_of(span.lead)) ** 2 / 3 * seconds))
    return tuple(found)


def _begins_or_ends(row: RowTrace, piece: InkPiece) -> bool:
    """Whether a row has no line in a piece's columns, and one right beside them at its height."""
    reach = math.ceil(JOINED_PX)
    first, last = round(piece.left_px), round(piece.left_px + piece.width_px)
    if np.isfinite(row.y[first:last]).any():
        return False
    beside = np.concatenate([row.y[max(0, first - reach) : first], row.y[last : last + reach]])
    near = (beside >= piece.top_px - JOINED_PX) & (beside <= piece.top_px + piece.height_px + JOINED_PX)
    return bool(near.any())


def may_be_peaks(strokes: Sequence[UnreadStroke], beats_s: Float64[np.ndarray, " beats"]) -> tuple[UnreadStroke, ...]:
    """Return the strokes that a peak may have lost: higher than letters, and at a beat where beats were found.

    `beats_s` are the times at which the heart beats. The others are print, a pen's line, or a fold.
    """
    return tuple(
        stroke
        for stroke in strokes
        if stroke.is_tall and (not len(beats_s) or float(np.abs(beats_s - stroke.time_s).min()) < AT_A_BEAT_S)
    )
