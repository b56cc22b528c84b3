"""Speed and gain off the pulses, given or assumed, with pulses by hand at 4 px/mm."""

from dataclasses import replace

import pytest

from ecg_flare.digitize.measure.calibration import ChestGain, Method
from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measure.scale_reading import ScaleReading
from ecg_flare.digitize.measure.speed_and_gain import read_chest_gain, read_gain, read_speed
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
        (3.0, 25.0, "assumed"),
    ],
)
def test_pulses_of_a_fifth_of_a_second_tell_the_speed(width_mm: float, speed: float, source: str) -> None:
    found = read_speed(scale(2, width_mm=width_mm), None)

    assert (found.value, found.source, found.confidence) == (speed, source, 1.0 if source == "measured" else 0.7)


def test_pulses_of_a_tenth_of_a_second_tell_the_speed_if_the_heart_rules_the_other_out() -> None:
    found = read_speed(scale(2, width_mm=2.5), None)

    assert (found.value, found.source, found.confidence, found.other) == (25.0, "measured", 0.7, 12.5)
    assert "0.1 s at 25 mm/s, not for 0.2 s at 12.5 mm/s" in found.warnings[0]


def stepped(n_pulses: int, n_stepped: int, second_mm: float) -> ScaleReading:
    plain = scale(1).pulses[0]
    with_step = replace(plain, step_px=plain.foot_px - 4 * second_mm)
    return replace(scale(1), pulses=(with_step,) * n_stepped + (plain,) * (n_pulses - n_stepped))


def test_stepped_pulses_tell_the_chest_leads_gain() -> None:
    assert read_chest_gain(stepped(6, 6, 5.0), None, 10.0) == ChestGain(5.0, "measured")
    assert read_chest_gain(stepped(6, 3, 5.2), None, 10.0) == ChestGain(5.0, "measured")
    assert read_chest_gain(stepped(1, 1, 5.0), None, 10.0) == ChestGain(5.0, "measured")
    assert read_chest_gain(stepped(6, 6, 5.0), None, 20.0) == ChestGain(10.0, "measured")
    assert read_chest_gain(stepped(6, 6, 5.0), 10.0, 10.0) == ChestGain(10.0, "given")
    for unclear in (stepped(6, 2, 5.0), stepped(6, 6, 7.0), stepped(2, 1, 5.0), scale(6)):
        assert read_chest_gain(unclear, None, 10.0) is None


def test_a_step_is_told_though_the_scale_is_some_percent_off() -> None:
    """Pulses of 10 and 5 mm on a page whose scale is taken 8 % too fine: 10.8 and 5.5 mm as they are measured."""
    true = stepped(3, 3, 5.05)
    off = replace(true, px_per_mm=replace(true.px_per_mm, y=true.px_per_mm.y / 1.08))

    assert read_chest_gain(off, None, 10.0) == ChestGain(5.0, "measured")


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
