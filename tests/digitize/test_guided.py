"""A line between clicks, on drawn ink: which strokes it takes."""

import cv2
import numpy as np
import pytest

from ecg_flare.digitize.trace.guided import follow_points
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import ConfigError

SCALE = PxPerMm(8.0, 8.0)
PEN_PX = 3.0
BASE, TIP, MIDDLE = 100, 30, 80


def drawn(*points: tuple[int, int]) -> np.ndarray:
    ink = np.zeros((160, 161), np.uint8)
    cv2.polylines(ink, [np.array(points, np.int32)], False, 255, 3)
    return ink.astype(np.float32) / 255


COMPLEX = drawn((0, BASE), (MIDDLE - 8, BASE), (MIDDLE, TIP), (MIDDLE + 8, BASE), (160, BASE))
"""All ink: a line with a peak of 9 mm."""

SEEN = np.where(np.arange(160)[:, None] < BASE - 10, 0.0, COMPLEX).astype(np.float32)
"""What was taken for a trace: the peak was taken for print but for its foot."""


def height(line: np.ndarray, x: float) -> float:
    return float(np.interp(x, line[:, 0], line[:, 1]))


def followed(*clicks: tuple[float, float], every: np.ndarray = COMPLEX) -> np.ndarray:
    return follow_points(SEEN, every, np.array(clicks, float), PEN_PX, SCALE)


def test_a_peak_that_was_taken_for_print_is_followed_once_it_is_clicked_on() -> None:
    line = followed((5, BASE), (MIDDLE, TIP), (155, BASE))
    assert height(line, MIDDLE) == pytest.approx(TIP, abs=2.0)
    assert height(line, MIDDLE - 4) == pytest.approx((TIP + BASE) / 2, abs=6.0)
    assert height(line, 40) == pytest.approx(BASE, abs=1.0)


def test_strokes_that_nobody_clicked_on_stay_what_they_were_taken_for() -> None:
    letters = np.maximum(COMPLEX, drawn((20, 60), (40, 60), (40, 80), (20, 80)))
    line = followed((5, BASE), (MIDDLE, TIP), (155, BASE), every=letters)
    assert np.abs(line[(line[:, 0] > 15) & (line[:, 0] < 45), 1] - BASE).max() < 1.0


def test_a_click_on_bare_paper_takes_no_stroke() -> None:
    line = follow_points(SEEN, np.zeros_like(COMPLEX), np.array([[5.0, BASE], [155.0, BASE]]), PEN_PX, SCALE)
    assert height(line, MIDDLE) > BASE - 12


@pytest.mark.parametrize("clicks", [[(5.0, BASE)], [(50.0, BASE), (20.0, BASE)], [(50.0, BASE), (51.0, BASE)]])
def test_points_that_do_not_go_from_left_to_right_are_refused(clicks: list[tuple[float, float]]) -> None:
    with pytest.raises(ConfigError, match="points"):
        followed(*clicks)
