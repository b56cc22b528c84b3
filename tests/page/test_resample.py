from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.ecg.record import Recording
from ecg_flare.errors import PageError
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.resample import resample_page
from ecg_flare.page.style import InkStyle, PageStyle


@pytest.fixture(scope="module")
def page(waves: Recording) -> Page:
    return render_page(waves, PageStyle(dpi=170.0, anisotropy=1.04, paper="letter"), np.random.default_rng(3))


def test_a_letter_page_comes_out_at_the_networks_size(page: Page) -> None:
    normal = resample_page(page)
    assert normal.image.shape == (*normal.mask.shape, 3) == (864, 1118, 3)
    assert normal.truth.px_per_mm_x == pytest.approx(4, rel=1e-3)
    assert normal.truth.px_per_mm_y == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize("px_per_mm", [2.5, 4.0, 9.0])
def test_resampling_moves_truth_with_the_image(waves: Recording, bare: PageStyle, px_per_mm: float) -> None:
    style = replace(bare, dpi=150.0, anisotropy=1.05, ink=InkStyle(width_mm=0.4))
    small = resample_page(render_page(waves, style, np.random.default_rng(0)), px_per_mm)
    for trace in small.truth.traces:
        x = np.arange(np.ceil(trace.polyline[0, 0]) + 4, trace.polyline[-1, 0] - 4).astype(int)
        expected = np.interp(x, *trace.polyline.T)
        rows = np.rint(expected).astype(int)[:, None] + np.arange(-8, 9)
        ink = 255.0 - small.image[rows, x[:, None], 0]
        offset = (ink * rows).sum(axis=1) / ink.sum(axis=1) - expected
        assert np.abs(offset).mean() < 0.05
        assert np.abs(offset).max() < 0.15


@pytest.mark.parametrize("px_per_mm", [0.0, -4.0, float("nan"), float("inf")])
def test_impossible_scales_are_refused(page: Page, px_per_mm: float) -> None:
    with pytest.raises(PageError, match="px_per_mm must be a positive number"):
        resample_page(page, px_per_mm)
