"""The classical segmenter on drawn pages whose classes are known."""

import cv2
import numpy as np
import pytest

from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.raster import Label
from ecg_flare.page.render import render_page
from ecg_flare.page.resample import resample_page
from ecg_flare.page.style import GridStyle, PageStyle


def dice(found: np.ndarray, true: np.ndarray) -> float:
    return float(2 * (found & true).sum() / (found.sum() + true.sum()))


@pytest.mark.parametrize("colour", ["red", "blue", "grey"])
def test_trace_is_told_from_grid_of_any_colour(colour: str) -> None:
    rng = np.random.default_rng(3)
    style = PageStyle(dpi=150, grid=GridStyle(colour=colour), pulse="none")  # type: ignore[arg-type]
    page = resample_page(render_page(synthesize(rng), style, rng))
    probabilities = classical_segmenter(page.image)
    assert probabilities.shape == (len(Label), *page.image.shape[:2])
    np.testing.assert_allclose(probabilities.sum(axis=0), 1.0, atol=1e-5)
    assert dice(probabilities[Label.TRACE] > 0.5, page.mask == Label.TRACE) > 0.6


def test_text_is_print_and_not_trace() -> None:
    rng = np.random.default_rng(4)
    page = resample_page(render_page(synthesize(rng), PageStyle(dpi=150, pulse="none"), rng))
    heading = page.image[:70]
    classes = classical_segmenter(page.image)[:, : len(heading)].argmax(axis=0)
    assert (classes == Label.PRINT).sum() > 20 * (classes == Label.TRACE).sum()


def test_strokes_one_above_the_other_are_no_frame() -> None:
    """Tall QRS complexes of several rows make a line as long as a frame; a frame's edges stand still all along it."""
    page = np.full((760, 760, 3), 255, np.uint8)
    beat, frame = 240, 500
    for level in (120, 210, 300, 390):
        page[level : level + 2, 60 : frame + 2] = 0
        peak = [(beat - 3, level), (beat + 1, level - 110), (beat + 5, level)]
        cv2.fillPoly(page, [np.array(peak, np.int32)], (0, 0, 0))
    page[40:420, frame : frame + 2] = 0
    classes = classical_segmenter(page).argmax(axis=0)
    assert (classes[20:390, beat + 1] == Label.TRACE).all()
    assert (classes[130:200, frame] == Label.PRINT).all()
    assert (classes[120, 100:400] == Label.TRACE).all()


def test_blank_page_is_all_background() -> None:
    probabilities = classical_segmenter(np.full((200, 300, 3), 250, np.uint8))
    assert (probabilities[Label.BACKGROUND] == 1).all()
