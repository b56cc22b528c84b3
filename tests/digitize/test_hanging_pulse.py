"""A pulse that stands or hangs alone may be a QRS complex of the trace: by its shape and its height it is told."""

import numpy as np
import pytest
from jaxtyping import UInt8

from ecg_flare.digitize.measure.working_page import at_trace_scale
from ecg_flare.digitize.units import PxPerMm

PX = 6
UNIT = PxPerMm(PX, PX)


def pulses(
    places: list[tuple[int, bool]], *, width_mm: float = 5.0, height_mm: float = 10.0
) -> UInt8[np.ndarray, "h w 3"]:
    """A page of 80 x 60 mm with pulses on a base line, upright or hanging, at these heights in mm."""
    page = np.full((60 * PX, 80 * PX, 3), 255, np.uint8)
    left, right, pen = 60 * PX, round((60 + width_mm) * PX), 2
    for foot_mm, upright in places:
        foot = foot_mm * PX
        bar = foot + round((-height_mm if upright else height_mm) * PX)
        top, bottom = sorted((foot, bar))
        page[top : bottom + pen, left : left + pen] = 0
        page[top : bottom + pen, right : right + pen] = 0
        page[bar : bar + pen, left : right + pen] = 0
        page[foot : foot + pen, left - PX : left] = 0
        page[foot : foot + pen, right : right + PX] = 0
    return page


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ([(25, True)], 1),
        ([(25, False)], 0),
        ([(15, True), (40, True)], 2),
        ([(10, False), (35, False)], 2),
    ],
)
def test_only_a_pulse_that_hangs_alone_is_left_out(places: list[tuple[int, bool]], found: int) -> None:
    assert len(at_trace_scale(pulses(places), UNIT).pulses) == found


@pytest.mark.parametrize(
    ("width_mm", "height_mm", "believed_alone"),
    [
        (5.0, 10.0, True),
        (2.5, 10.0, True),  # 0.1 s at 25 mm/s
        (10.0, 20.0, True),
        (1.4, 10.0, False),  # a QRS complex at 50 mm/s
        (5.0, 7.2, False),  # no gain that machines print
        (1.4, 17.0, False),
    ],
)
def test_a_pulse_that_stands_alone_is_one_by_its_shape(width_mm: float, height_mm: float, believed_alone: bool) -> None:
    """One that is believed ends the rows: on pages without pulses the last beat was lost to it."""
    alone = at_trace_scale(pulses([(40, True)], width_mm=width_mm, height_mm=height_mm), UNIT)
    assert len(alone.pulses) == believed_alone
    two = at_trace_scale(pulses([(25, True), (52, True)], width_mm=width_mm, height_mm=height_mm), UNIT)
    assert len(two.pulses) == 2
