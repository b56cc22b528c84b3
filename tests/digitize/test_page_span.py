"""Where the recording begins and ends, and what of the ink is pulses."""

import numpy as np

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.trace.page_span import without_pulses


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
