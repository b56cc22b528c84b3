"""Ink that no line explains, on drawn pages at 4 px/mm: print in boxes, what hangs on a line, and what is nothing."""

import cv2
import numpy as np
import pytest

from ecg_flare.review.unexplained_ink import sort_ink

SHAPE = (200, 400)
LEVEL = 120


def blank() -> np.ndarray:
    return np.zeros(SHAPE, np.uint8)


def a_line() -> np.ndarray:
    pixels = blank()
    cv2.line(pixels, (20, LEVEL), (380, LEVEL), 1, 3)
    return pixels > 0


def text(words: str, at: tuple[int, int]) -> np.ndarray:
    pixels = blank()
    cv2.putText(pixels, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1, 1)
    return pixels > 0


def box_of(pixels: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(pixels)
    box = np.zeros(SHAPE, bool)
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return box


def test_a_word_is_print_as_one_upright_box() -> None:
    word = text("aVR", (60, 60))
    found = sort_ink(a_line() | word, a_line())
    box = box_of(word)
    assert found.printed[box].all()
    assert not found.printed[~cv2.dilate(box.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)].any()
    assert not found.unknown.any()


def test_words_far_apart_are_boxes_of_their_own() -> None:
    first, second = text("II", (60, 60)), text("V5", (200, 60))
    printed = sort_ink(a_line() | first | second, a_line()).printed
    count, *_ = cv2.connectedComponents(printed.astype(np.uint8))
    assert count - 1 == 2
    assert not printed[:, 120:180].any()


def test_a_peak_that_no_line_explains_is_unknown_and_no_print() -> None:
    peak = blank()
    cv2.polylines(peak, [np.array([(150, LEVEL), (156, 60), (162, LEVEL)])], False, 1, 2)
    found = sort_ink(a_line() | (peak > 0), a_line())
    assert found.unknown[(peak > 0) & ~a_line()].all()
    assert not found.printed.any()
    assert not found.unknown[a_line()].any()


@pytest.mark.parametrize(
    "stroke",
    [
        pytest.param(lambda ink: cv2.circle(ink, (80, 50), 1, 1, -1), id="speck"),
        pytest.param(lambda ink: cv2.line(ink, (60, 40), (200, 60), 1, 2), id="stroke of a pen"),
        pytest.param(lambda ink: cv2.circle(ink, (80, 50), 30, 1, -1), id="stain"),
        pytest.param(lambda ink: cv2.rectangle(ink, (0, 20), (8, 40), 1, -1), id="edge of the sheet"),
        pytest.param(lambda ink: cv2.line(ink, (60, 50), (90, 51), 1, 2), id="piece of a flat line"),
    ],
)
def test_what_is_no_letter_is_paper(stroke: object) -> None:
    ink = blank()
    stroke(ink)  # type: ignore[operator]
    found = sort_ink(a_line() | (ink > 0), a_line())
    assert not found.printed.any()
    assert not found.unknown.any()


def test_a_page_of_nothing_is_nothing() -> None:
    found = sort_ink(blank() > 0, blank() > 0)
    assert not found.printed.any()
    assert not found.unknown.any()
