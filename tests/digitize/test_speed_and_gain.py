"""Speed and gain off the pulses, given or assumed, with pulses by hand at 4 px/mm."""

import pytest

from ecg_flare.digitize.measure.calibration import Method
from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measure.scale_reading import ScaleReading
from ecg_flare.digitize.measure.speed_and_gain import read_gain, read_speed
from ecg_flare.digitize.units import PxPerMm


def scale(n_pulses: int, height_mm: float = 10.0, width_mm: float = 5.0, method: Method = "grid") -> ScaleReading:
    pulse = Pulse(10.0, 10.0 + 4 * width_mm, 100.0 - 4 * height_mm, 100.0)
    return ScaleReading(PxPerMm(4.0, 4.0), method, 0.9, (pulse,) * n_pulses, ())


@pytest.mark.parametrize(
    ("width_mm", "speed", "source"),
    [
        (5.0, 25.0, "measured"),
        (5.3, 25.0, "measured"),  # within 7 %
        (5.4, 25.0, "assumed"),
        (10.0, 50.0, "measured"),
        (2.5, 25.0, "assumed"),  # 0.1 s at 25 mm/s
    ],
)
def test_pulses_of_a_fifth_of_a_second_tell_the_speed(width_mm: float, speed: float, source: str) -> None:
    found = read_speed(scale(2, width_mm=width_mm), None)

    assert (found.value, found.source, found.confidence) == (speed, source, 1.0 if source == "measured" else 0.7)


def test_one_pulse_tells_a_gain_less_surely_and_no_speed() -> None:
    gain, speed = read_gain(scale(1), None), read_speed(scale(1), None)

    assert (gain.value, gain.source, gain.confidence) == (10.0, "measured", 0.85)
    assert "single" in gain.warnings[0]
    assert speed.source == "assumed"


def test_a_height_that_is_no_gain_is_named() -> None:
    found = read_gain(scale(2, height_mm=14.0), None)

    assert (found.value, found.source, found.confidence) == (10.0, "assumed", 0.7)
    assert "14.0 mm high" in found.warnings[0]


def test_a_scale_from_pulses_measures_no_gain() -> None:
    found = read_gain(scale(2, method="pulse"), None)

    assert found.source == "assumed"
    assert "do not need it" in found.warnings[0]


def test_what_is_given_is_kept_and_doubted_where_the_pulses_contradict() -> None:
    assert read_gain(scale(2), 10.0).confidence == read_speed(scale(2), 25.0).confidence == 1.0
    gain, speed = read_gain(scale(2), 20.0), read_speed(scale(2), 50.0)
    assert (gain.value, gain.confidence) == (20.0, 0.6)
    assert "pulses are 10 mm high" in gain.warnings[0]
    assert (speed.value, speed.confidence) == (50.0, 0.7)
    assert "pulses are 5 mm wide" in speed.warnings[0]
