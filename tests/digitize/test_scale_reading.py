"""Pixels a millimetre from what is given, a grid or pulses, with numbers by hand."""

import numpy as np
import pytest

from ecg_flare.digitize.measure.given import GivenMeasures
from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measure.scale import GridScale, PageScale
from ecg_flare.digitize.measure.scale_reading import read_scale, resolution_notes
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.rectify.normalize import NormalizedPage
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import PageError

NOTHING = GivenMeasures(None, None, None)


def scaled(grid: GridScale | None = None, pulses: tuple[Pulse, ...] = ()) -> ScaledPage:
    blank = np.full((200, 300, 3), 255, np.uint8)
    return ScaledPage(NormalizedPage(blank, blank, np.eye(3), 0.0, None, ()), PageScale(grid, pulses))


def pulse(height: float, width: float) -> Pulse:
    return Pulse(10.0, 10.0 + width, 100.0 - height, 100.0)


@pytest.mark.parametrize(
    ("margin", "squares", "confidence", "unsure"),
    [
        (10.0, 0.5, 0.99, False),  # both factors are 1, but nothing is certain
        (4.0, 0.5, 0.95, False),  # 0.55 + 0.1 * 4
        (10.0, 0.2, 0.8, False),  # 0.6 + 0.2
        (2.9, 0.5, 0.6, True),  # 0.84, cut at 0.6 below a margin of 3
    ],
)
def test_a_grid_is_as_sure_as_its_margin_and_its_squares(
    margin: float, squares: float, confidence: float, unsure: bool
) -> None:
    found = read_scale(scaled(GridScale(PxPerMm(4.0, 4.1), margin, squares)), NOTHING)

    assert (found.px_per_mm, found.method) == (PxPerMm(4.0, 4.1), "grid")
    assert found.confidence == pytest.approx(confidence)
    assert bool(found.warnings) is unsure


@pytest.mark.parametrize(
    ("speed", "gain", "unit", "confidence"),
    [
        (None, None, PxPerMm(6.0, 6.0), 0.7),  # 60 px are 10 mm, 30 px are 0.2 s of 25 mm/s
        (50.0, 20.0, PxPerMm(3.0, 3.0), 0.9),  # as high and as wide as both say
        (None, 20.0, PxPerMm(3.0, 3.0), 0.45),  # 6 along, 3 down: the width is not 0.2 s
    ],
)
def test_pulses_alone_measure_by_their_height(
    speed: float | None, gain: float | None, unit: PxPerMm, confidence: float
) -> None:
    found = read_scale(scaled(pulses=(pulse(60.0, 30.0),)), GivenMeasures(speed, gain, None))

    assert (found.px_per_mm, found.method, found.confidence) == (unit, "pulse", confidence)
    assert "no grid was found" in found.warnings[0]


def test_a_given_scale_is_taken_before_a_grid() -> None:
    page = scaled(GridScale(PxPerMm(4.0, 4.0), 10.0, 0.5))

    found = read_scale(page, GivenMeasures(None, None, PxPerMm(3.9, 4.2)))

    assert (found.px_per_mm, found.method, found.confidence) == (PxPerMm(3.9, 4.2), "given", 1.0)


def test_a_page_without_measure_is_refused() -> None:
    with pytest.raises(PageError, match="--px-per-mm"):
        read_scale(scaled(), NOTHING)


def test_few_pixels_a_millimetre_are_said_by_the_coarser_axis() -> None:
    assert resolution_notes(PxPerMm(3.5, 8.0)) == ()
    assert "3.4 pixels a millimetre" in resolution_notes(PxPerMm(8.0, 3.4))[0]
