from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.ecg.record import Recording
from ecg_flare.page.lettering import Text, draw_texts
from ecg_flare.page.render import render_page
from ecg_flare.page.style import LABEL_RGB, PageStyle


def test_spaced_letters_stand_that_much_further_apart() -> None:
    def width(spacing_mm: float) -> float:
        _, (box,) = draw_texts([Text("aVR", 5, 10, 4, spacing_mm=spacing_mm)], "sans", (10.0, 10.0), (150, 400))
        return float(box[1, 0] - box[0, 0])

    # two gaps between three letters; alone, letters are not kerned, which is worth a fraction of a millimetre
    assert width(2.0) - width(1.0) == pytest.approx(2 * 10, abs=1.01)
    assert width(1.0) - width(0.0) == pytest.approx(2 * 10, abs=8)


def test_spaced_letters_lie_inside_their_box() -> None:
    ink, (box,) = draw_texts([Text("V5", 5, 10, 4, spacing_mm=1.5)], "serif", (10.0, 10.0), (150, 400))
    rows, columns = np.nonzero(ink)
    assert (columns.min(), columns.max()) == pytest.approx((box[0, 0] + 0.5, box[1, 0] - 0.5), abs=3)
    assert box[0, 1] - 1 <= rows.min() <= rows.max() <= box[2, 1] + 1
    assert (np.diff(np.unique(columns)) > 12).sum() == 1  # one gap: two letters


@pytest.mark.parametrize("colour", ["blue", "red", "green", "grey", "purple"])
def test_labels_have_their_own_colour_and_traces_theirs(waves: Recording, bare: PageStyle, colour: str) -> None:
    style = replace(bare, text=replace(bare.text, label_colour=colour))  # type: ignore[arg-type]
    page = render_page(waves, style, np.random.default_rng(0))
    assert len(page.truth.print_boxes) == 12
    for box in page.truth.print_boxes:
        left, top, right, bottom = (*np.rint(box[0]).astype(int), *np.rint(box[2]).astype(int))
        area = page.image[top : bottom + 1, left : right + 1].reshape(-1, 3).astype(int)
        assert np.abs(area - LABEL_RGB[colour]).sum(axis=1).min() < 60  # type: ignore[index]
    x, y = np.rint(page.truth.traces[0].polyline[600]).astype(int)
    assert page.image[y, x].tolist() == pytest.approx([20, 20, 20], abs=90)


def test_labels_can_be_left_out(waves: Recording, bare: PageStyle) -> None:
    page = render_page(waves, replace(bare, text=replace(bare.text, labels="none")), np.random.default_rng(0))
    assert page.truth.print_boxes == ()
