"""The millimetre of drawn grids."""

import numpy as np
import pytest
from drawn_grids import grid_signal_of, lines
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.digitize.measure.correlation import correlate
from ecg_flare.digitize.measure.pitch import readings, size_log_odds


@settings(max_examples=15, deadline=None)
@given(pitch_x=st.floats(3.3, 9.0), stretch=st.floats(0.93, 1.07))
def test_the_pitch_of_a_drawn_grid(pitch_x: float, stretch: float) -> None:
    signal = grid_signal_of(pitch_x, pitch_x * stretch)

    for picture, truth in ((signal, pitch_x), (np.ascontiguousarray(signal.T), pitch_x * stretch)):
        best = readings(correlate(picture, truth), 1000.0)[0]
        assert best.px_per_mm == pytest.approx(truth, rel=1.5e-3)


@pytest.mark.parametrize(("pitch", "expected"), [(4.0, 4.0), (20.0, 4.0)])
def test_lines_of_one_kind_are_told_by_the_size_of_a_page(pitch: float, expected: float) -> None:
    # Lines 4 pixels apart on 1000 pixels are millimetres of a 25 cm page; lines 20 apart are its 5 mm lines.
    one_kind = np.maximum(lines(1000, pitch, 2.3, 0.7)[None], lines(700, pitch, 1.1, 0.7)[:, None]).astype(np.float32)

    best = readings(correlate(one_kind, pitch), 1000.0)[0]

    assert best.px_per_mm == pytest.approx(expected, rel=2e-3)


def test_usual_pages_are_likelier_than_stamps_and_posters() -> None:
    assert size_log_odds(270.0) == 0.0
    assert size_log_odds(54.0) < -2.0
    assert size_log_odds(1350.0) < -8.0
