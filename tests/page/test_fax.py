from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.ecg.record import Recording
from ecg_flare.errors import LayoutError
from ecg_flare.page.degrade.fax import Fax
from ecg_flare.page.page import Page
from ecg_flare.page.render import render_page
from ecg_flare.page.style import GridStyle, PageStyle, PrintStyle


@pytest.fixture(scope="module")
def page(waves: Recording) -> Page:
    bare = PageStyle(
        layout="3x4", dpi=300.0, pulse="none", grid=GridStyle(kind="none"), text=PrintStyle(header=False, footer=False)
    )
    return render_page(waves, bare, np.random.default_rng(0))


@pytest.mark.parametrize("screen", [0.0, 1.0])
def test_a_fax_is_black_and_white_and_its_pixels_are_square(page: Page, screen: float) -> None:
    fax = Fax(dots_dpi=204.0, lines_dpi=98.0, threshold=150.0, screen=screen).apply(page)
    assert set(np.unique(fax.image).tolist()) == {0, 255}
    assert fax.image.shape == (fax.truth.height_px, fax.truth.width_px, 3)
    assert fax.truth.px_per_mm_x == pytest.approx(204 / 25.4, rel=1e-3)
    assert fax.truth.px_per_mm_y == pytest.approx(204 / 25.4, rel=1e-3)


def test_no_line_of_a_standard_fax_is_shown_for_less_than_its_height(page: Page) -> None:
    image = Fax(dots_dpi=200.0, lines_dpi=100.0, threshold=150.0, screen=1.0).apply(page).image
    changes = np.flatnonzero((image[1:] != image[:-1]).any(axis=(1, 2)))
    assert len(changes) > 300
    assert np.diff(changes).min() >= 2


def test_the_ink_of_a_fax_lies_where_the_truth_says(page: Page) -> None:
    fax = Fax(dots_dpi=204.0, lines_dpi=196.0, threshold=128.0, screen=0.0).apply(page)
    for trace in fax.truth.traces:
        x, y = trace.polyline[20:-20].T
        column = np.rint(x).astype(int)
        near = np.rint(y).astype(int)[:, None] + np.arange(-5, 6)
        ink = fax.image[near, column[:, None], 0] == 0
        middle = (ink * near).sum(axis=1) / np.maximum(ink.sum(axis=1), 1)
        assert ink.any(axis=1).all(), trace.lead
        assert abs(np.mean(middle - y)) < 0.15, trace.lead


@pytest.mark.parametrize("grey", [40, 90, 128, 200, 240])
def test_a_screen_keeps_a_grey_as_a_share_of_dots(page: Page, grey: int) -> None:
    """With a screen over all greys each of the 16 thresholds is met once: the share of white is the grey's own."""
    flat = replace(page, image=np.full_like(page.image, grey))
    image = Fax(dots_dpi=200.0, lines_dpi=200.0, threshold=127.5, screen=1.0).apply(flat).image
    white = (image[: len(image) // 4 * 4, : image.shape[1] // 4 * 4] == 255).mean()
    assert white == pytest.approx(grey / 255, abs=1 / 32)


def test_without_a_screen_a_grey_is_all_white_or_all_black(page: Page) -> None:
    flat = replace(page, image=np.full_like(page.image, 149))
    assert Fax(dots_dpi=200.0, lines_dpi=100.0, threshold=150.0, screen=0.0).apply(flat).image.max() == 0
    assert Fax(dots_dpi=200.0, lines_dpi=100.0, threshold=149.0, screen=0.0).apply(flat).image.min() == 255


def test_a_screen_beyond_all_greys_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"fax screen must be from 0 to 1, found 1\.5"):
        Fax(dots_dpi=200.0, lines_dpi=100.0, threshold=150.0, screen=1.5)
