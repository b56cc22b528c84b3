"""Black lines of a grid on a picture of black and white alone are taken off, and traces stay."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from jaxtyping import UInt8

from ecg_flare.digitize import ReadingOptions, digitize
from ecg_flare.digitize.ink.ruled_lines import BLACK, without_ruled_lines
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.degrade.fax import Fax
from ecg_flare.page.render import render_page
from ecg_flare.page.style import GridStyle, PageStyle

PX_PER_MM = 8.0
LINE, HEIGHT, WIDTH = 120, 240, 800


def ruled() -> UInt8[np.ndarray, "h w 3"]:
    """Paper of 30 x 100 mm with a level and an upright line of one pixel."""
    page = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    page[LINE] = 0
    page[:, 400] = 0
    return page


def black(page: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    bare = without_ruled_lines(page, PxPerMm(PX_PER_MM, PX_PER_MM))
    return (bare[:, :, 0] < BLACK).astype(np.uint8)


def test_lines_and_specks_go() -> None:
    page = ruled()
    page[30:33, 100:103] = 0
    page[60, ::4] = 0  # a line of dots
    assert black(page).sum() == 0


def test_a_trace_that_crosses_a_line_stays_whole() -> None:
    page = ruled()
    cv2.line(page, (100, 20), (140, 220), (0, 0, 0), 3)
    alone = np.full_like(page, 255)
    cv2.line(alone, (100, 20), (140, 220), (0, 0, 0), 3)
    kept, whole = black(page), black(alone)
    assert whole.sum() > 500
    assert np.abs(kept.astype(int) - whole).sum() <= 6  # the two ends of the crossing


def test_a_trace_that_rests_on_a_line_stays() -> None:
    page = ruled()
    page[LINE - 1 : LINE + 2, 100:300] = 0
    kept = black(page)
    assert kept[LINE, 105:295].all()
    assert not kept[:, 450:].any()


def test_a_thin_trace_that_rests_on_a_line_is_not_taken_for_it() -> None:
    """A trace as thin as the line, which leaves it by a pixel here and there, as a resting lead does."""
    page = ruled()
    for at in range(100, 300, 6):
        page[LINE - 1, at : at + 3] = 0
    kept = without_ruled_lines(page, PxPerMm(PX_PER_MM, PX_PER_MM))[:, :, 0]
    assert (kept[LINE, 130:270] < 200).all()
    assert (kept[LINE, 500:] == 255).all()


def test_a_step_of_a_leaning_line_hides_nothing() -> None:
    page = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    page[LINE, :400], page[LINE + 1, 400:] = 0, 0
    assert black(page).sum() == 0


def test_what_is_as_long_and_thick_is_no_line() -> None:
    page = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    page[LINE : LINE + 6, 50:750] = 0
    assert black(page)[LINE + 2, 60:740].all()


@pytest.mark.parametrize("screen", [0.0, 0.3])
def test_a_fax_with_a_black_grid_is_read(screen: float) -> None:
    rng = np.random.default_rng(19)
    recording = synthesize(rng)
    grid = GridStyle(colour="grey", kind="fine+coarse", strength=1.0)
    page = render_page(recording, PageStyle(dpi=200, grid=grid), rng)
    fax = Fax(dots_dpi=204.0, lines_dpi=196.0, threshold=180.0, screen=screen).apply(page)
    assert (fax.image < BLACK).mean() > 0.04  # its grid is black in good part

    reading = digitize(fax.image, ReadingOptions(segmenter="classical"))

    assert reading.layout == fax.truth.layout
    assert evaluate_recording(reading.recording, recording).read_snr_db_kaggle2025 > 14
    assert reading.confidence <= 0.7


def test_the_same_page_in_greys_is_not_touched() -> None:
    rng = np.random.default_rng(19)
    page = render_page(synthesize(rng), PageStyle(dpi=100), rng)
    two_tones = replace(page, image=np.where(page.image.max(axis=2, keepdims=True) < 128, 0, 255).astype(np.uint8))
    assert not digitize(page.image, ReadingOptions(segmenter="classical")).page.two_tones
    assert digitize(np.repeat(two_tones.image, 3, axis=2), ReadingOptions(segmenter="classical")).page.two_tones
