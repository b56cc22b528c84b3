"""Which lead a piece of ink stands beside, that no line runs through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.trace.unread_ink import InkPiece

LONE_ROW_MM: Final = 20.0
"""Instead of the distance of rows, where there is one."""


def span_beside(piece: InkPiece, levels_px: Float64[np.ndarray, " rows"], spans: Sequence[LeadSpan]) -> LeadSpan | None:
    """Return the stretch of the nearest row that shows the piece's middle; None where that row shows nothing there."""
    x, y = piece.middle_px
    row = int(np.abs(levels_px - y).argmin())
    return next((span for span in spans if span.row == row and span.left_px <= x < span.right_px), None)


def row_distance_px(levels_px: Float64[np.ndarray, " rows"], px_per_mm_y: float) -> float:
    """Return the usual distance of the rows, LONE_ROW_MM for a lone one."""
    return float(np.median(np.diff(levels_px))) if len(levels_px) > 1 else LONE_ROW_MM * px_per_mm_y
