"""Thin separators: bars between the columns no wider than a trace, whose ink the borders themselves take off.

They show as columns of pixels with more ink than their neighbours. All of a page's borders must have one, off by the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.digitize.leads.borders import inner_borders
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.units import PxPerMm

REACH_MM: Final = 1.0  # from a border to its bar
BAND_MM: Final = 7.0  # above and below a row's level
MIN_BAR_MM: Final = 2.0  # of ink in a column, more than the columns of its row usually have
WIDEST_BAR_MM: Final = 0.7
RIM: Final = 0.5  # of a bar's height: a column with less is beside it
SAME_MM: Final = 0.15  # within which all borders must be off by the same
MIN_ROWS: Final = 2


def thin_separator_offset(
    spans: Sequence[LeadSpan],
    ink: Float32[np.ndarray, "h w"],
    levels: Sequence[float],
    scale: PxPerMm,
) -> float:
    """Return how far to the right of the borders their thin bars stand, in pixels; 0 without bars.

    `ink` is all that was drawn, print too, `levels` are the rows' y in pixels.
    """
    borders = {x: rows for x, rows in inner_borders(spans).items() if len(rows) >= MIN_ROWS}
    halved = len(borders) == 1
    found = [
        _bar_beside(x, _bands([levels[row] for row in rows], scale.y, halved), ink, scale)
        for x, rows in borders.items()
    ]
    offsets = np.array([offset for offset in found if offset is not None])
    if not borders or len(offsets) < len(borders) or np.ptp(offsets) > SAME_MM * scale.x:
        return 0.0
    return float(np.median(offsets))


def _bands(levels: Sequence[float], px_per_mm_y: float, halved: bool) -> list[slice]:
    """Return the lines around each row's level in which a bar has to show: as one band, or above and below apart.

    A lone border has no other to agree with, and all its rows beat at one time. Few beats go up and down in one place.
    """
    band = BAND_MM * px_per_mm_y
    edges = [(level - band, level, level + band) if halved else (level - band, level + band) for level in levels]
    return [slice(max(0, round(top)), max(1, round(bottom))) for row in edges for top, bottom in pairwise(row)]


def _bar_beside(border: float, bands: Sequence[slice], ink: Float32[np.ndarray, "h w"], scale: PxPerMm) -> float | None:
    """Return how far to the right of a border its bar stands, in pixels; None where not every band has one."""
    widest, reach = WIDEST_BAR_MM * scale.x, REACH_MM * scale.x
    first, after = int(np.floor(border - reach - widest)), int(np.ceil(border + reach + widest)) + 1
    if first < 0 or after > ink.shape[1]:
        return None
    columns = np.stack([ink[band, first:after].sum(axis=0, dtype=np.float64) for band in bands])
    height = (columns - np.median(columns, axis=1, keepdims=True)).min(axis=0)
    if height.max() < MIN_BAR_MM * scale.y:
        return None
    inside = np.flatnonzero(height > RIM * height.max())
    across = inside[-1] - inside[0] + 1
    if across > max(2.0, widest) or across > len(inside):
        return None
    near = slice(max(0, inside[0] - 1), inside[-1] + 2)
    weight = np.maximum(height[near], 0.0)
    centre = float((np.arange(first, after)[near] * weight).sum() / weight.sum())
    return centre - border if abs(centre - border) < reach else None
