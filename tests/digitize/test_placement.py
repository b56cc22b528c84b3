"""A layout laid over rows: columns by duration, ends mended to a length that the layout can have."""

import numpy as np
import pytest
from rasters import raster, word

from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.placement import nominal_span, place_layout
from ecg_flare.page.layout import load_layout

THREE_BY_FOUR = load_layout("3x4")  # 10 s: 2500 pixels at 25 mm/s and 10 px/mm


def page(length_px: float, left_px: float = 50.0, width_px: float | None = None) -> LabelledRows:
    return LabelledRows(raster(np.zeros((3, round(length_px))), left_px, width_px), (), 25.0)


def test_a_row_of_ten_seconds_is_cut_into_four_columns() -> None:
    spans = place_layout(page(2500.0 - 0.5), THREE_BY_FOUR)
    first_row = spans[:4]
    assert [span.lead for span in first_row] == ["I", "aVR", "V1", "V4"]
    assert [span.left_px for span in first_row] == pytest.approx([50.0, 675.0, 1300.0, 1925.0], abs=1.0)
    assert [span.start_s for span in first_row] == pytest.approx([0.0, 2.5, 5.0, 7.5], abs=0.01)
    assert spans[-1].lead == "V6"
    assert spans[-1].end_s == pytest.approx(10.0, abs=0.01)


@pytest.mark.parametrize(
    ("left_px", "width_px", "expected"),
    [
        (50.0, 3000.0, (45.25, 2545.25)),  # 9.5 pixels are missing, and both ends share them
        (5.0, 3000.0, (-4.5, 2495.5)),  # cut at the left edge of the page
        (50.0, 2545.0, (50.0, 2550.0)),  # cut at its right edge
    ],
    ids=["in the middle", "left", "right"],
)
def test_ink_that_is_missing_at_an_end_is_mended(
    left_px: float, width_px: float, expected: tuple[float, float]
) -> None:
    """2490 of 2500 pixels; the last sample of 2 ms is drawn half a pixel before the end."""
    assert nominal_span(page(2490.0, left_px, width_px), THREE_BY_FOUR) == pytest.approx(expected)


def test_a_length_that_no_layout_has_is_left_as_it_is() -> None:
    assert nominal_span(page(2440.0), THREE_BY_FOUR) == (50.0, 2490.0)


def test_labels_move_the_borders_of_a_page_that_is_cut() -> None:
    """Columns of 625 pixels, the last one cut to 425."""
    names = {(0, 1): "aVR", (0, 2): "V1", (0, 3): "V4", (1, 1): "aVL", (1, 2): "V2", (1, 3): "V5"}
    words = tuple(word(name, 50.0 + 625.0 * column + 15.0, row) for (row, column), name in names.items())
    cut = LabelledRows(raster(np.zeros((3, 2300)), 50.0), words, 25.0)
    spans = place_layout(cut, THREE_BY_FOUR)
    # cut into four equal columns the borders would stand at 625, 1200 and 1775
    assert [span.left_px for span in spans[:4]] == pytest.approx([50.0, 675.0, 1300.0, 1925.0], abs=1.0)
    assert spans[3].right_px == pytest.approx(2350.0)
    assert spans[3].end_s - spans[3].start_s == pytest.approx(1.7, abs=0.01)
