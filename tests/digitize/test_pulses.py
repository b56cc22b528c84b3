"""Calibration pulses drawn by hand, and what looks like them."""

import numpy as np
import pytest

from ecg_flare.digitize.measure.pulse import Pulse, standard_gain
from ecg_flare.digitize.measure.pulses import find_pulses, pulses_in


def test_a_pulse_tells_its_height_its_width_and_which_way_it_stands() -> None:
    pulse = Pulse(left_px=10.0, right_px=40.0, bar_px=20.0, foot_px=80.0)

    assert (pulse.height_px, pulse.width_px, pulse.upright) == (60.0, 30.0, True)
    # in a picture of 100 x 200 pixels, pixel 10 from the left becomes pixel 89
    assert pulse.rotated_180(100, 200) == Pulse(left_px=59.0, right_px=89.0, bar_px=179.0, foot_px=119.0)
    # twice as large, pixel centre 10 lies at 2 * 10.5 - 0.5
    assert pulse.enlarged(2.0).left_px == 20.5


@pytest.mark.parametrize(
    ("height_px", "gain"),
    [(40.0, 10.0), (43.0, 10.0), (43.4, None), (20.0, 5.0), (80.0, 20.0), (28.0, None)],  # 8 % is the tolerance
)
def test_a_usual_height_stands_for_a_gain(height_px: float, gain: float | None) -> None:
    assert standard_gain([Pulse(0.0, 20.0, 100.0 - height_px, 100.0)], px_per_mm=4.0) == gain


def test_no_pulse_tells_no_gain() -> None:
    assert standard_gain([], px_per_mm=4.0) is None


def draw_pulse(ink: np.ndarray, left: int, foot: int, height: int, width: int, up: bool = True) -> None:
    bar = foot - height if up else foot + height
    top, bottom = sorted((bar, foot))
    ink[top : bottom + 2, left : left + 2] = True
    ink[top : bottom + 2, left + width : left + width + 2] = True
    ink[bar : bar + 2, left : left + width + 2] = True
    ink[foot : foot + 2, left - 6 : left + 2] = True
    ink[foot : foot + 2, left + width : left + width + 8] = True


@pytest.mark.parametrize("up", [True, False])
def test_pulses_in_a_column_are_measured(up: bool) -> None:
    ink = np.zeros((600, 400), bool)
    for foot in (150, 300, 450):
        draw_pulse(ink, left=40, foot=foot, height=60, width=30, up=up)

    found = pulses_in(ink, px_per_mm=6.0)

    assert len(found) == 3
    for pulse, foot in zip(found, (150, 300, 450), strict=True):
        assert pulse.upright is up
        assert pulse.height_px == pytest.approx(60, abs=1.0)
        assert pulse.width_px == pytest.approx(30, abs=0.5)
        assert pulse.foot_px == pytest.approx(foot + 0.5, abs=0.6)


def test_boxes_grid_lines_and_beats_are_no_pulses() -> None:
    ink = np.zeros((600, 800), bool)
    for top in (100, 300):
        ink[top : top + 60, [40, 70]] = True  # a box, closed on all sides
        ink[[top, top + 59], 40:71] = True
        ink[top, 200:500] = True  # a line that runs on beyond two strokes
        ink[top : top + 60, [300, 330]] = True
        draw_pulse(ink, left=600, foot=top + 60, height=60, width=30)  # a flat beat: trace on both sides
        ink[top + 60, 420:800] = True

    assert pulses_in(ink, px_per_mm=6.0) == ()


def test_fine_scans_are_shrunk_but_measured_in_their_own_pixels() -> None:
    ink = np.zeros((1800, 1200), bool)
    for foot in (500, 1100):
        draw_pulse(ink, left=120, foot=foot, height=240, width=120)
    image = np.where(ink[:, :, None], 0, 255).astype(np.uint8).repeat(3, axis=2)

    found = find_pulses(image, px_per_mm=24.0)

    assert [pulse.height_px for pulse in found] == pytest.approx([240, 240], rel=0.02)
