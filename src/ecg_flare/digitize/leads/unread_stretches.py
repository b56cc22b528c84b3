"""Level ink beside a lead that no line runs through: a line was lost there, and another row's was followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.trace.raster import RASTER_MM

NEAR: Final = 0.35
"""Of the distance of rows: so near to a row's level its lines rest."""

LONE_ROW_MM: Final = 20.0
"""Instead of the distance of rows, where there is one."""


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
    near = NEAR * (float(np.median(np.diff(levels))) if len(levels) > 1 else LONE_ROW_MM * scale.y)
    found = []
    for piece in lines.unread.level:
        middle_x, middle_y = piece.left_px + piece.width_px / 2, piece.top_px + piece.height_px / 2
        row = int(np.abs(levels - middle_y).argmin())
        here = [span for span in spans if span.row == row and span.left_px <= middle_x < span.right_px]
        if not here or abs(levels[row] - middle_y) > near:
            continue
        seconds_per_px = here[0].duration_s / (here[0].right_px - here[0].left_px)
        columns = (lines.raster.x_px >= piece.left_px) & (lines.raster.x_px <= piece.left_px + piece.width_px)
        apart_mm = lines.raster.y_mm[row, columns] - (levels[row] - middle_y) / scale.y
        apart_mv = np.nan_to_num(apart_mm, nan=near / scale.y) / gain_of(here[0].lead)
        energy = float((apart_mv**2).sum()) * RASTER_MM * scale.x * seconds_per_px
        time_s = here[0].start_s + (piece.left_px - here[0].left_px) * seconds_per_px
        found.append(UnreadStretch(here[0].lead, time_s, energy))
    return tuple(found)
