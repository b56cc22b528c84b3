"""A pen of another colour than the traces: it is taken off, and the trace under it stays."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pytest
from benchmarks.digitization.pages import printed
from jaxtyping import Bool, Float32, UInt8

from ecg_flare.digitize import digitize
from ecg_flare.digitize.ink.other_inks import without_other_inks
from ecg_flare.digitize.rectify.light import over_paper
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import render_page
from ecg_flare.page.style import GridStyle, PageStyle

PENS: Final = {"red": (170, 28, 36), "blue": (26, 42, 140), "green": (24, 96, 60)}
BLACK, BLUE_TRACE = (20, 20, 20), (20, 20, 83)
PX_PER_MM: Final = 8
SCALE: Final = PxPerMm(PX_PER_MM, PX_PER_MM)
LEVEL, LEFT, RIGHT = 240, 80, 800
RING: Final = ((440, 200), (60, 100))
SPIKE: Final = 380  # column of a stroke up the ring's upper left


def page_with_trace(colour: tuple[int, int, int] = BLACK) -> UInt8[np.ndarray, "480 880 3"]:
    """Return a page with a level line of 90 mm, 4 px thick, and an upright stroke of 20 mm."""
    image = np.full((480, 880, 3), 250, np.uint8)
    image[LEVEL : LEVEL + 4, LEFT:RIGHT] = colour
    image[LEVEL - 160 : LEVEL, SPIKE + 20 : SPIKE + 24] = colour
    return image


def with_ring(image: UInt8[np.ndarray, "h w 3"], colour: tuple[int, int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """Return the page with a ring of 0.5 mm around the foot of the stroke."""
    drawn = image.copy()
    cv2.ellipse(drawn, *RING, 0, 0, 360, colour, 4, cv2.LINE_AA)
    return drawn


def ink_of(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Return all that is not paper as a segmenter sees it that takes the pen for trace."""
    ink: Float32[np.ndarray, "h w"] = np.clip((250.0 - image.min(axis=2)) / 230.0, 0.0, 1.0).astype(np.float32)
    return ink


def bare(image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Return where there is neither a trace nor a pen, as far as a dark pixel shows."""
    return cv2.dilate((image.min(axis=2) < 120).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0


def cleaned(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    return without_other_inks(ink_of(image), over_paper(image), bare(image), SCALE)


@pytest.mark.parametrize("pen", PENS.values(), ids=PENS)
@pytest.mark.parametrize("trace", [BLACK, BLUE_TRACE], ids=["black trace", "blue trace"])
def test_a_ring_vanishes_and_the_lines_that_it_crosses_stay_whole(
    trace: tuple[int, int, int], pen: tuple[int, int, int]
) -> None:
    bare = page_with_trace(trace)
    ink = cleaned(with_ring(bare, pen))
    near = cv2.dilate((ink_of(bare) > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert ink[~near].max() < 0.3
    assert ink[LEVEL + 1 : LEVEL + 3, LEFT:RIGHT].min() > 0.7
    assert ink[LEVEL - 158 : LEVEL, SPIKE + 21 : SPIKE + 23].min() > 0.7


@pytest.mark.parametrize("colour", [BLACK, (64, 64, 64)], ids=["black", "grey"])
def test_a_pen_without_hue_is_ink_like_a_black_trace(colour: tuple[int, int, int]) -> None:
    image = with_ring(page_with_trace(), colour)
    ink = ink_of(image)
    assert without_other_inks(ink, over_paper(image), bare(image), SCALE) is ink


def test_a_photocopy_is_left_as_it_is() -> None:
    grey = cv2.cvtColor(with_ring(page_with_trace(), PENS["red"]), cv2.COLOR_RGB2GRAY)
    image = cv2.merge([grey] * 3)
    ink = ink_of(image)
    assert without_other_inks(ink, over_paper(image), bare(image), SCALE) is ink


def test_a_page_without_ink_is_left_as_it_is() -> None:
    ink = np.zeros((80, 80), np.float32)
    assert without_other_inks(ink, np.ones((80, 80, 3), np.float32), np.ones((80, 80), bool), SCALE) is ink


def test_a_trace_on_a_stain_is_no_pen() -> None:
    """A stain of coffee gives what lies on it its own hue."""
    image = page_with_trace().astype(np.float32)
    image[160:320, 480:640] *= (0.9, 0.8, 0.6)
    image = image.astype(np.uint8)
    image[LEVEL : LEVEL + 4, 480:640] = (120, 104, 76)
    ink = ink_of(image)
    assert without_other_inks(ink, over_paper(image), bare(image), SCALE) is ink


def test_a_thin_grey_trace_along_a_red_grid_line_is_no_pen() -> None:
    """A pixel that ink covers by half shows half of the red line under it: its hue is not the ink's."""
    image = np.full((480, 880, 3), 250, np.uint8)
    image[::40] = image[:, ::40] = (250, 110, 110)
    red = LEVEL  # a line of the grid
    mixed = np.array([250, 110, 110]) * 0.35 + np.array(BLACK) * 0.65
    image[red, LEFT:RIGHT] = mixed.astype(np.uint8)
    image[red - 60, LEFT:RIGHT] = (101, 101, 101)
    ink = np.zeros(image.shape[:2], np.float32)
    ink[red, LEFT:RIGHT] = ink[red - 60, LEFT:RIGHT] = 0.65
    image, ink = np.repeat(image, 3, axis=0), np.repeat(ink, 3, axis=0)
    scale = PxPerMm(PX_PER_MM, 3 * PX_PER_MM)
    assert without_other_inks(ink, over_paper(image), ink == 0, scale) is ink


def test_a_lead_in_a_colour_of_its_own_stays() -> None:
    image = page_with_trace()
    image[400:404, LEFT:RIGHT] = PENS["red"]
    ink = ink_of(image)
    assert without_other_inks(ink, over_paper(image), bare(image), SCALE) is ink


@dataclass(frozen=True, eq=False)
class ReadPage:
    """A page, the place of an R wave of V5 on it, the recording that it prints, and the dB that it is read with."""

    image: UInt8[np.ndarray, "h w 3"]
    peak: tuple[int, int]
    recording: Recording
    whole_db: float


@pytest.fixture(scope="module")
def page() -> ReadPage:
    rng = np.random.default_rng(8)
    recording = synthesize(rng)
    page = render_page(recording, PageStyle(dpi=150, grid=GridStyle(colour="grey")), rng)
    line = next(trace for trace in page.truth.traces if trace.lead == "V5").polyline
    x, y = line[line[:, 1].argmin()]
    truth = printed(recording, page.truth)
    return ReadPage(page.image, (round(x), round(y)), truth, read_db(page.image, truth))


def read_db(image: UInt8[np.ndarray, "h w 3"], recording: Recording) -> float:
    read = digitize(image, segmenter="classical").recording
    return evaluate_recording(read, recording).snr_db_kaggle2025


def ringed(page: ReadPage, pen: tuple[int, int, int], down: int, axes: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    drawn = page.image.copy()
    x, y = page.peak
    cv2.ellipse(drawn, (x + (20 if down > 0 else 0), y + down), axes, 0, 0, 360, pen, 4, cv2.LINE_AA)
    return drawn


@pytest.mark.parametrize("pen", PENS.values(), ids=PENS)
def test_a_ring_across_a_qrs_costs_less_than_a_decibel(page: ReadPage, pen: tuple[int, int, int]) -> None:
    assert read_db(ringed(page, pen, -35, (60, 50)), page.recording) > page.whole_db - 1.0


@pytest.mark.parametrize("pen", PENS.values(), ids=PENS)
def test_a_ring_that_hides_the_foot_of_a_qrs_costs_what_it_hides(page: ReadPage, pen: tuple[int, int, int]) -> None:
    """Read as trace, it costs 12 dB."""
    assert read_db(ringed(page, pen, 40, (50, 30)), page.recording) > page.whole_db - 5.0
