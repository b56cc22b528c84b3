"""Ink of the trace: what the segmenter lost on the way up a tall stroke, and what stays print."""

import numpy as np
import pytest
from jaxtyping import Float32, UInt8

from ecg_flare.digitize.ink.extraction import find_ink
from ecg_flare.page.raster import Label

SCALE = 2  # pixels of the page for one of the network


def page_with_stroke() -> tuple[UInt8[np.ndarray, "h w 3"], Float32[np.ndarray, "4 h w"]]:
    """Return a page of 8 px/mm with a level line and a stroke 12 mm tall, of which the network lost the upper 7 mm."""
    image = np.full((320, 480, 3), 250, np.uint8)
    image[240:243, 40:440] = 20
    image[144:243, 240:243] = 20
    trace = np.zeros((160, 240), np.float32)
    trace[120:122, 20:220] = 1.0
    trace[100:122, 120:122] = 1.0
    probabilities = np.zeros((len(Label), 160, 240), np.float32)
    probabilities[Label.TRACE], probabilities[Label.BACKGROUND] = trace, 1.0 - trace
    return image, probabilities


def test_a_tall_stroke_is_followed_to_its_tip_where_the_network_lost_it() -> None:
    image, probabilities = page_with_stroke()
    ink = find_ink(image, probabilities).trace
    assert ink[146:240, 241].min() > 0.9
    assert ink[:142].max() == pytest.approx(0.0, abs=1e-6)


def test_an_upright_stroke_of_print_is_not_given_to_the_trace_below() -> None:
    image, probabilities = page_with_stroke()
    probabilities[Label.PRINT, 70:100, 118:124] = 1.0
    probabilities[Label.BACKGROUND, 70:100, 118:124] = 0.0
    ink = find_ink(image, probabilities).trace
    assert ink[146:180, 241].max() < 0.1


def test_a_frame_that_rows_touch_is_not_given_to_them() -> None:
    """Between two rows it is no longer than a tall stroke."""
    image = np.full((800, 480, 3), 250, np.uint8)
    image[:, :2] = 20
    trace = np.zeros((400, 240), np.float32)
    for level in range(100, 800, 200):
        image[level : level + 3, :440] = 20
        trace[level // 2 : level // 2 + 2, :220] = 1.0
    probabilities = np.zeros((len(Label), 400, 240), np.float32)
    probabilities[Label.TRACE], probabilities[Label.BACKGROUND] = trace, 1.0 - trace
    ink = find_ink(image, probabilities).trace
    assert ink[150:250, :2].max() < 0.1
    assert ink[101, 4:430].min() > 0.9
