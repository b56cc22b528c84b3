from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.ecg.record import Recording
from ecg_flare.errors import PageError
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, TRACE_WIDTH_PX, Label, rasterize, resample_page
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import InkStyle, PageStyle
from ecg_flare.page.truth import LeadTrace, PageTruth, outline


def truth_of(polyline: np.ndarray, px_per_mm: float = 4.0, **more: tuple[np.ndarray, ...]) -> PageTruth:
    trace = LeadTrace("I", 0, polyline, 0.0, 1.0, False)
    return PageTruth(
        60, 200, px_per_mm, px_per_mm, "3x4", 25.0, 10.0, (trace,), more.get("pulses", ()), more.get("boxes", ()),
        outline((60, 200)),
        ((px_per_mm, 0, -0.5), (0, px_per_mm, -0.5), (0, 0, 1)),
    )  # fmt: skip


@pytest.mark.parametrize("y", [30.0, 29.7, 30.3, 30.49])
def test_a_level_trace_is_three_pixels_wide_about_the_nearest_row(y: float) -> None:
    mask = rasterize(truth_of(np.array([[20.0, y], [180.0, y]])))
    for column in range(20, 181):
        assert np.flatnonzero(mask[:, column] == Label.TRACE).tolist() == [29, 30, 31]


@pytest.mark.parametrize(
    ("px_per_mm", "slope"),
    [(4.0, 0.0), (8.0, 0.0), (16.0, 0.0), (2.0, 0.2), (4.0, 0.2), (16.0, 0.2), (2.0, 1.0), (4.0, 1.0), (16.0, 1.0)],
)
def test_the_width_follows_the_scale_at_any_slope(px_per_mm: float, slope: float) -> None:
    x = np.array([60.0, 90.0])
    mask = rasterize(truth_of(np.stack([x, 20.25 + slope * (x - 60)], axis=1), px_per_mm))
    width = TRACE_WIDTH_PX * px_per_mm / NORMALIZED_PX_PER_MM
    length = 30 * np.hypot(1, slope)
    ends = np.pi * width**2 / 4
    assert (mask == Label.TRACE).sum() == pytest.approx(length * width + ends, rel=0.07, abs=4)


def test_traces_lie_over_pulses_over_print() -> None:
    level = np.array([[50.0, 30.0], [150.0, 30.0]])
    upright = np.array([[100.0, 10.0], [100.0, 50.0]])
    box = np.array([[80.0, 20.0], [120.0, 20.0], [120.0, 40.0], [80.0, 40.0]])
    mask = rasterize(truth_of(level, pulses=(upright,), boxes=(box,)))
    assert mask[30, 100] == Label.TRACE
    assert mask[25, 100] == Label.PULSE
    assert mask[25, 90] == Label.PRINT
    assert mask[5, 5] == Label.BACKGROUND
    assert (mask == Label.PRINT).sum() == 41 * 21 - 3 * 21 - 3 * 41 + 9


def test_traces_outside_the_image_are_no_error() -> None:
    mask = rasterize(truth_of(np.array([[-50.0, -20.0], [400.0, -20.0]])))
    assert not mask.any()
    mask = rasterize(truth_of(np.array([[-50.0, 30.0], [400.0, 30.0]])))
    assert (mask == Label.TRACE).sum() == 3 * 200


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


def test_the_mask_covers_the_ink(waves: Recording, bare: PageStyle) -> None:
    normal = resample_page(render_page(waves, replace(bare, ink=InkStyle(width_mm=0.3)), np.random.default_rng(0)))
    dark = normal.image[..., 0] < 140
    assert dark.sum() > 2000
    assert np.isin(normal.mask[dark], (Label.TRACE, Label.PRINT)).all()


@pytest.mark.parametrize("px_per_mm", [0.0, -4.0, float("nan"), float("inf")])
def test_impossible_scales_are_refused(page: Page, px_per_mm: float) -> None:
    with pytest.raises(PageError, match="px_per_mm must be a positive number"):
        resample_page(page, px_per_mm)
