"""The lines of a whole page, one a row: the ink followed, the pen fitted, the stretch of the recording found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.trace.page_span import find_span, without_pulses
from ecg_flare.digitize.trace.raster import RowRaster, sample_rows
from ecg_flare.digitize.trace.refine import pen_px, refine_row
from ecg_flare.digitize.trace.rows import RowTrace, trace_rows
from ecg_flare.digitize.trace.unread_ink import UnreadInk, unread_ink
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import PageError


@dataclass(frozen=True, eq=False)
class PageLines:
    """The lines of a page from top to bottom.

    `rows` are the ink that each line runs through, `polylines` the lines themselves (x, y in pixels, NaN where there is
    no ink), `pen_px` the pen's width, `raster` the lines sampled over the stretch of the recording, `unread` the ink of
    traces that no line runs through.
    """

    rows: tuple[RowTrace, ...]
    polylines: tuple[Float64[np.ndarray, "k 2"], ...]
    pen_px: float
    raster: RowRaster
    unread: UnreadInk = field(default_factory=UnreadInk)

    @property
    def levels_px(self) -> tuple[float, ...]:
        """The rows' resting levels."""
        return tuple(row.level_px for row in self.rows)


def trace_page(
    ink: Float32[np.ndarray, "h w"], pulses: Sequence[Pulse], scale: PxPerMm, levels_px: Sequence[float] | None = None
) -> PageLines:
    """Follow the traces' ink, 0 (paper) to 1 (full ink), along each row. Raises PageError where there is no row.

    `levels_px` are the rows' resting levels, where a person said them.
    """
    lines_ink = without_pulses(ink, pulses, scale.x)
    rows = trace_rows(lines_ink, scale, levels_px)
    if not rows:
        raise PageError("No ECG trace was found on this page: no line is 20 mm long.")
    pen = pen_px(rows)
    polylines = tuple(refine_row(row, pen) for row in rows)
    span = find_span(rows, pulses, ink, scale.x)
    raster = sample_rows(polylines, [row.level_px for row in rows], span, scale)
    return PageLines(rows, polylines, pen, raster, unread_ink(lines_ink, rows, scale))
