"""A pulse that hangs alone is a QS complex of the trace."""

import numpy as np
import pytest
from jaxtyping import UInt8

from ecg_flare.digitize.measure.working_page import at_trace_scale
from ecg_flare.digitize.units import PxPerMm

PX = 6
UNIT = PxPerMm(PX, PX)


def pulses(places: list[tuple[int, bool]]) -> UInt8[np.ndarray, "h w 3"]:
    """A page of 80 x 60 mm with pulses of 10 by 5 mm on a base line, upright or hanging, at these heights in mm."""
    page = np.full((60 * PX, 80 * PX, 3), 255, np.uint8)
    left, right, pen = 60 * PX, 65 * PX, 2
    for foot_mm, upright in places:
        foot = foot_mm * PX
        bar = foot - 10 * PX if upright else foot + 10 * PX
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
