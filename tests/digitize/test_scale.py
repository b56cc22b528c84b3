"""The grid and the pulses of a page, read together."""

import numpy as np
import pytest
from drawn_grids import grid_signal_of

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measure.scale import GridScale, PageScale, measure_scale
from ecg_flare.digitize.units import PxPerMm

PULSES = (Pulse(20.0, 40.0, 60.0, 100.0), Pulse(20.0, 40.0, 160.0, 200.0))  # 40 pixels high


def red_grid(pitch_x: float, pitch_y: float) -> np.ndarray:
    image = np.full((700, 1000, 3), 250, np.uint8)
    image[:, :, 1:] = (250 - 110 * grid_signal_of(pitch_x, pitch_y))[:, :, None].astype(np.uint8)
    return image


@pytest.mark.parametrize(("pitch_x", "pitch_y"), [(4.0, 4.0), (5.2, 4.9)])
def test_a_grid_has_a_pitch_along_and_another_down(pitch_x: float, pitch_y: float) -> None:
    found = measure_scale(red_grid(pitch_x, pitch_y), (pitch_x, pitch_y))

    assert found.grid is not None
    assert found.grid.px_per_mm.x == pytest.approx(pitch_x, rel=1e-3)
    assert found.grid.px_per_mm.y == pytest.approx(pitch_y, rel=1e-3)
    assert found.pulses == ()


def test_without_a_grid_one_pulse_is_none_and_two_are_kept() -> None:
    image = np.full((700, 1000, 3), 255, np.uint8)
    for count, foot in enumerate((200, 400), start=1):
        image[foot - 40 : foot + 2, [60, 61, 80, 81]] = 0
        image[foot - 40 : foot - 38, 60:82] = 0
        image[foot : foot + 2, 54:60] = 0
        image[foot : foot + 2, 82:90] = 0

        found = measure_scale(image, None)

        assert found.grid is None
        assert len(found.pulses) == (0 if count == 1 else 2)


def test_the_pulses_height_is_a_gain_only_beside_a_grid() -> None:
    grid = GridScale(PxPerMm(4.0, 4.0), margin=10.0, squares=0.5)

    assert PageScale(grid, PULSES).standard_gain == 10.0
    assert PageScale(None, PULSES).standard_gain is None
    assert PageScale(grid, ()).standard_gain is None
    assert PageScale(GridScale(PxPerMm(4.0, 2.9), 10.0, 0.5), PULSES).standard_gain is None  # 13.8 mm


def test_a_turned_page_has_its_pulses_upside_down_in_the_same_order_along_the_page() -> None:
    turned = PageScale(None, PULSES).rotated_180((300, 100))

    assert [pulse.foot_px for pulse in turned.pulses] == [99.0, 199.0]  # 300 - 1 - 200, 300 - 1 - 100
    assert not any(pulse.upright for pulse in turned.pulses)
