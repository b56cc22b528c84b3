"""A page at the scales that it is worked on, with sizes by hand."""

import numpy as np
import pytest

from ecg_flare.digitize.measure.working_page import at_network_scale, at_trace_scale, to_page
from ecg_flare.digitize.units import PxPerMm


def blank(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


@pytest.mark.parametrize(
    ("unit", "shape"),
    [(PxPerMm(8.0, 8.0), (400, 600)), (PxPerMm(8.0, 10.0), (320, 600)), (PxPerMm(2.0, 2.0), (1600, 2400))],
)
def test_the_network_sees_four_pixels_a_millimetre_both_ways(unit: PxPerMm, shape: tuple[int, int]) -> None:
    assert at_network_scale(blank(800, 1200), unit).shape[:2] == shape


def test_a_page_of_300_dpi_is_worked_on_as_it_is() -> None:
    image = blank(800, 1200)

    working = at_trace_scale(image, PxPerMm(13.2, 11.0))

    assert working.image is image
    assert (working.shrink, working.px_per_mm, working.pulses) == ((1.0, 1.0), PxPerMm(13.2, 11.0), ())


def test_a_finer_page_is_shrunk_to_twelve_pixels_a_millimetre() -> None:
    working = at_trace_scale(blank(800, 1200), PxPerMm(24.0, 20.0))

    assert working.image.shape[:2] == (400, 600)
    assert (working.shrink, working.px_per_mm) == ((0.5, 0.5), PxPerMm(12.0, 10.0))


def test_coordinates_come_back_with_pixel_centres_at_whole_numbers() -> None:
    assert to_page(0.0, 0.5) == 0.5  # the first of half as many pixels covers pixels 0 and 1
    np.testing.assert_array_equal(to_page(np.array([-0.5, 599.5]), 0.5), [-0.5, 1199.5])
