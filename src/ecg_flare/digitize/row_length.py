"""Pixels a millimetre along the rows by the rows' own length, on a page that only its calibration pulses measure.

A pulse is 5 mm wide and known to a pixel: two per cent at 200 dpi, which sets the last beat of ten seconds 0.2 s off.
The rows are as long as their layout says, and fifty times as long as a pulse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.assign import Assignment
from ecg_flare.digitize.leads.placement import SAMPLE_S
from ecg_flare.digitize.measured_page import MeasuredPage

PULSE_PX: Final = 1.2
"""Of a pulse's width: what thick and ragged strokes leave unknown."""

MOST: Final = 0.04
"""Rows that differ by a greater share from their layout's length are rows of another length."""


def measured_by_rows(measured: MeasuredPage, assignment: Assignment) -> MeasuredPage:
    """Return the page with the scale along x by which its rows are as long as their layout.

    The page is returned as it is where a grid measures it or its scale is given, where the pulses contradict that
    length, and where it shows strips alone, which are cut as one likes.
    """
    calibration, working = measured.calibration, measured.working
    strips_alone = all(span.is_rhythm for span in assignment.spans)
    if calibration.method != "pulse" or not working.pulses or assignment.duration_s is None or strips_alone:
        return measured
    length_px = max(span.right_px for span in assignment.spans) - min(span.left_px for span in assignment.spans)
    # the last sample is drawn one step before the end
    length_mm = (assignment.duration_s - SAMPLE_S) * calibration.speed_mm_per_s
    stretch = length_px / length_mm / working.px_per_mm.x
    unknown = PULSE_PX / float(np.median([pulse.width_px for pulse in working.pulses]))
    if abs(stretch - 1.0) > min(unknown, MOST):
        return measured
    note = f"times come from the length of the rows, taken as {assignment.duration_s:g} s"
    return _stretched(measured, stretch, (note,))


def with_rows_of(measured: MeasuredPage, before: MeasuredPage) -> MeasuredPage:
    """Return a page that was measured again, at another speed or gain, with rows that last as long as before."""
    if measured.calibration.method != "pulse" or before.calibration.method != "rows":
        return measured
    now, then = (each.calibration.px_per_mm.x * each.calibration.speed_mm_per_s for each in (measured, before))
    return _stretched(measured, then / now)


def _stretched(measured: MeasuredPage, stretch: float, notes: tuple[str, ...] = ()) -> MeasuredPage:
    calibration, working = measured.calibration, measured.working
    settled = replace(
        calibration,
        px_per_mm=calibration.px_per_mm.scaled(stretch, 1.0),
        method="rows",
        warnings=(*calibration.warnings, *notes),
    )
    unit = working.px_per_mm.scaled(stretch, 1.0)
    return replace(measured, calibration=settled, working=replace(working, px_per_mm=unit))
