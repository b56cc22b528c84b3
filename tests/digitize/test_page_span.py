"""Where the recording begins and ends, and what of the ink is pulses."""

import numpy as np
import pytest

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.trace.page_span import find_span, without_pulses
from ecg_flare.digitize.trace.rows import RowTrace


def test_ink_up_to_the_pulses_is_left_out_on_their_side_alone() -> None:
    ink = np.ones((100, 400), np.float32)
    at_left = [Pulse(10.0, 20.0, 10.0, 30.0), Pulse(14.0, 24.0, 50.0, 70.0)]
    cleared = without_pulses(ink, at_left, px_per_mm_x=10.0)
    assert not cleared[:31, :23].any()  # and 0.3 mm beyond
    assert cleared[:31, 24:].all()
    assert not cleared[70:, :27].any()
    assert cleared[70:, 28:].all()
    at_right = [Pulse(370.0, 380.0, 10.0, 30.0), Pulse(370.0, 380.0, 50.0, 70.0)]
    cleared = without_pulses(ink, at_right, px_per_mm_x=10.0)
    assert cleared[:, :367].all()
    assert not cleared[:, 368:].any()
    assert without_pulses(ink, at_left[:1], px_per_mm_x=10.0) is ink


def test_pulses_between_columns_are_left_out_alone() -> None:
    ink = np.ones((100, 900), np.float32)
    pulses = [Pulse(x, x + 10.0, foot - 20.0, foot) for x in (10.0, 400.0) for foot in (30.0, 70.0)]
    cleared = without_pulses(ink, pulses, px_per_mm_x=10.0)
    assert not cleared[:, :23].any()
    assert cleared[:, 24:397].all()
    assert not cleared[8:73, 398:413].any()  # from the highest bar to the lowest foot, 0.3 mm around
    assert cleared[:7, 397:413].all()
    assert cleared[74:, 397:413].all()  # a rhythm strip goes on below
    assert cleared[:, 414:].all()


def test_the_recording_stops_before_pulses_between_columns_and_goes_on_after_them() -> None:
    """Two columns at 10 px/mm, 2 mm away from the pulses; the third row is a rhythm strip, which has no pulse there."""
    ink = np.zeros((320, 900), np.float32)
    pulses = [Pulse(x, x + 50.0, foot - 80.0, foot) for x in (20.0, 420.0) for foot in (100.0, 200.0)]
    rows = []
    for level, stretches in ((100, ((90, 400), (490, 800))), (200, ((90, 400), (490, 800))), (300, ((90, 700),))):
        y = np.full(900, np.nan)
        for first, after in stretches:
            y[first:after] = level
            ink[level - 1 : level + 2, first:after] = 1.0
        rows.append(RowTrace(y, y - 1.5, y + 1.5, float(level), np.zeros(900, bool)))

    span = find_span(rows, pulses, ink, px_per_mm_x=10.0)

    assert span.pulse == "left"
    for found, drawn in zip(span.columns_px, ((90, 400), (490, 800)), strict=True):
        assert found == pytest.approx((drawn[0] - 0.5, drawn[1] - 0.5), abs=1.5)
    assert span.recorded(np.array([100.0, 445.0, 600.0, 850.0])).tolist() == [True, False, True, False]
