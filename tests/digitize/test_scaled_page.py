"""Pages stood upright by their calibration pulses."""

import numpy as np
import pytest

from ecg_flare.digitize.measure.scaled_page import stand_upright
from ecg_flare.digitize.rectify.normalize import normalize
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import GridStyle, PageStyle


def draw(**style: object) -> Page:
    rng = np.random.default_rng(3)
    return render_page(synthesize(rng), PageStyle(dpi=100, **style), rng)  # type: ignore[arg-type]


@pytest.mark.parametrize("colour", ["red", "grey"])
def test_hanging_pulses_turn_a_page_over(colour: str) -> None:
    upright = draw(grid=GridStyle(colour=colour))  # type: ignore[arg-type]

    page = stand_upright(normalize(np.ascontiguousarray(upright.image[::-1, ::-1]))).page

    np.testing.assert_array_equal(page.image, upright.image)
    assert abs(page.rotation_deg) == pytest.approx(180.0, abs=0.1)
    assert page.upright_confidence == 1.0
    assert "upside down" in page.warnings[-1]


def test_standing_pulses_leave_a_page_as_it_is() -> None:
    upright = draw()

    page = stand_upright(normalize(upright.image)).page

    assert page.image is upright.image
    assert (page.upright_confidence, page.warnings) == (1.0, ())


def test_without_pulses_up_and_down_stay_open() -> None:
    assert stand_upright(normalize(draw(pulse="none").image)).page.upright_confidence == 0.5


def test_a_page_turned_twice_has_its_pulses_where_they_were() -> None:
    measured = stand_upright(normalize(draw().image))

    back = measured.rotated_180().rotated_180()

    assert back.scale.grid == measured.scale.grid
    feet = [pulse.foot_px for pulse in measured.scale.pulses]
    assert len(feet) == 4
    assert [pulse.foot_px for pulse in back.scale.pulses] == pytest.approx(feet)
    assert not measured.rotated_180().scale.pulses[0].upright
