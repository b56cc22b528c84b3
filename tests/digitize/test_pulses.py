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


def test_pulses_before_each_lead_are_found_in_every_column() -> None:
    """Two columns between traces: the second one has trace, or print, on both of its sides."""
    ink = np.zeros((600, 1200), bool)
    for foot in (150, 300, 450):
        for left in (40, 640):
            draw_pulse(ink, left=left, foot=foot, height=60, width=30)
        ink[foot + 8, 80:600] = True
        ink[foot + 8, 680:1180] = True

    found = pulses_in(ink, px_per_mm=6.0)

    assert [(round(pulse.left_px, -1), round(pulse.foot_px, -1)) for pulse in found] == [
        (left, foot) for foot in (150, 300, 450) for left in (40, 640)
    ]


def test_pulses_cut_by_the_upper_edge_belong_to_their_column() -> None:
    ink = np.zeros((600, 400), bool)
    for foot in (30, 180, 330):  # the first one's bar is 30 px beyond the edge
        draw_pulse(ink, left=40, foot=foot, height=60, width=30) if foot > 60 else None
    ink[0:32, 40:42] = True
    ink[0:32, 70:72] = True

    found = pulses_in(ink, px_per_mm=6.0)

    assert [pulse.foot_px for pulse in found] == pytest.approx([31, 180.5, 330.5], abs=1.0)
    assert [pulse.height_px for pulse in found] == pytest.approx([60] * 3, abs=1.5)


def test_three_rows_of_pulses_need_no_empty_side() -> None:
    """Print on their left, as a form's, and the first wave 1 mm behind them."""
    ink = np.zeros((600, 800), bool)
    for foot in (150, 300, 450):
        draw_pulse(ink, left=200, foot=foot, height=60, width=30)
        ink[foot - 50 : foot : 3, 20:178] = True
        ink[foot - 40 : foot + 2, 240:246] = True
        ink[foot, 246:780] = True

    assert len(pulses_in(ink, px_per_mm=6.0)) == 3
    assert pulses_in(ink, px_per_mm=6.0, crowded=False) == ()


def draw_stepped(ink: np.ndarray, left: int, foot: int, heights: tuple[int, int], width: int) -> None:
    middle, right = left + width // 2, left + width
    first, second = foot - heights[0], foot - heights[1]
    ink[first : foot + 2, left : left + 2] = True
    ink[first : first + 2, left : middle + 2] = True
    ink[first : second + 2, middle : middle + 2] = True
    ink[second : second + 2, middle : right + 2] = True
    ink[second : foot + 2, right : right + 2] = True
    ink[foot : foot + 2, left - 6 : left + 2] = True
    ink[foot : foot + 2, right : right + 8] = True


@pytest.mark.parametrize("upside_down", [False, True])
def test_a_stepped_pulse_tells_both_heights(upside_down: bool) -> None:
    ink = np.zeros((600, 400), bool)
    for foot in (150, 300, 450):
        draw_stepped(ink, left=40, foot=foot, heights=(60, 30), width=30)

    found = pulses_in(ink[::-1, ::-1] if upside_down else ink, px_per_mm=6.0)

    assert len(found) == 3
    for pulse in found:
        assert pulse.upright is not upside_down
        assert pulse.height_px == pytest.approx(60, abs=1.0)
        assert pulse.step_height_px == pytest.approx(30, abs=1.0)
        assert pulse.width_px == pytest.approx(30, abs=0.5)


def test_pulses_of_two_gains_are_found_in_one_column_and_in_two() -> None:
    ink = np.zeros((900, 1200), bool)
    for row, foot in enumerate((150, 300, 450, 600, 750)):
        draw_pulse(ink, left=40, foot=foot, height=60 if row < 3 else 30, width=30)
        draw_pulse(ink, left=640, foot=foot, height=30, width=30)
        ink[foot + 8, 80:600] = True
        ink[foot + 8, 680:1180] = True

    found = pulses_in(ink, px_per_mm=6.0)

    heights = [round(pulse.height_px, -1) for pulse in found]
    assert heights == [60, 30, 60, 30, 60, 30, 30, 30, 30, 30]
    assert standard_gain(found, 6.0) == 5.0  # seven of the ten
    assert standard_gain(found[:6], 6.0) == 10.0  # of as many, the higher ones
