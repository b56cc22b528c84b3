"""All rows of a page on one raster of x, in millimetres upwards: what beats and layouts are compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.trace.page_span import PageSpan
from ecg_flare.digitize.units import PxPerMm

RASTER_MM: Final = 0.1
LONGEST_BRIDGE_MM: Final = 3.0  # of a line without ink


@dataclass(frozen=True, eq=False)
class RowRaster:
    """The rows of a page, sampled every RASTER_MM of the stretch that holds the recording.

    `y_mm` is upwards from each row's resting level `level_px`, NaN where there is no ink; `x_px` are the samples'
    places, `width_px` is the page's width.
    """

    x_px: Float64[np.ndarray, " n"]
    y_mm: Float64[np.ndarray, "rows n"]
    level_px: Float64[np.ndarray, " rows"]
    span: PageSpan
    scale: PxPerMm
    width_px: float

    @property
    def inked(self) -> float:
        """Share of all rows' length that shows a trace, the pulses' columns left out."""
        return float(np.isfinite(self.y_mm[:, self.span.recorded(self.x_px)]).mean())


def sample_rows(
    polylines: Sequence[Float64[np.ndarray, "k 2"]], levels: Sequence[float], span: PageSpan, scale: PxPerMm
) -> RowRaster:
    """Put all rows, given as polylines (x, y) in pixels and their resting levels, on one raster of x."""
    x = np.arange(span.left_px, span.right_px, RASTER_MM * scale.x)
    sampled = []
    for polyline, level in zip(polylines, levels, strict=True):
        known = polyline[np.isfinite(polyline[:, 1])]
        y = np.interp(x, known[:, 0], known[:, 1], left=np.nan, right=np.nan)
        nearest = np.clip(np.searchsorted(known[:, 0], x), 1, len(known) - 1)
        far = known[nearest, 0] - known[nearest - 1, 0] > LONGEST_BRIDGE_MM * scale.x
        sampled.append(np.where(far, np.nan, (level - y) / scale.y))
    width = float(max(polyline[-1, 0] for polyline in polylines)) + 0.5
    return RowRaster(x, np.stack(sampled), np.array(levels), span, scale, width)
