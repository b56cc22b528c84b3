from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.ecg.record import Recording
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, TRACE_WIDTH_PX, Label, rasterize
from ecg_flare.page.render import render_page
from ecg_flare.page.resample import resample_page
from ecg_flare.page.style import InkStyle, PageStyle
from ecg_flare.page.truth import LeadTrace, PageTruth, outline


def truth_of(polyline: np.ndarray, px_per_mm: float = 4.0, **more: tuple[np.ndarray, ...]) -> PageTruth:
    trace = LeadTrace("I", 0, polyline, 0.0, 1.0, False)
    return PageTruth(
        60, 200, px_per_mm, px_per_mm, "3x4", 25.0, 10.0, 10.0, (trace,), more.get("pulses", ()), more.get("boxes", ()),
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


def test_the_mask_covers_the_ink(waves: Recording, bare: PageStyle) -> None:
    normal = resample_page(render_page(waves, replace(bare, ink=InkStyle(width_mm=0.3)), np.random.default_rng(0)))
    dark = normal.image[..., 0] < 140
    assert dark.sum() > 2000
    assert np.isin(normal.mask[dark], (Label.TRACE, Label.PRINT)).all()
