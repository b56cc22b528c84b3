"""How a heart beats on the paper: beats drawn at known distances."""

import numpy as np
import pytest
from drawn_beats import STEP_MM, beating

from ecg_flare.digitize.measure.heart_rate import measure_heart_rate


@pytest.mark.parametrize(("rate", "speed"), [(60, 25.0), (75, 50.0), (150, 25.0)])
def test_the_distance_from_beat_to_beat_is_measured(rate: float, speed: float) -> None:
    beat = measure_heart_rate(beating(rate, speed), STEP_MM)
    assert beat is not None
    assert beat.interval_mm == pytest.approx(60 / rate * speed, rel=0.01)


def test_a_line_without_beats_says_nothing() -> None:
    assert measure_heart_rate(np.zeros((3, 2400)), STEP_MM) is None


def test_a_wider_beat_is_measured_wider_and_two_beats_are_too_few() -> None:
    narrow, wide = (measure_heart_rate(beating(60, 25.0, qrs_s), STEP_MM) for qrs_s in (0.08, 0.16))
    assert narrow is not None
    assert wide is not None
    assert wide.width_mm > 1.5 * narrow.width_mm
    assert measure_heart_rate(beating(60, 25.0)[:, :450], STEP_MM) is None  # 45 mm hold two beats
