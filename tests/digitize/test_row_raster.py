"""Rows on one raster, in millimetres upwards, and the lines of a whole page."""

import numpy as np
import pytest

from ecg_flare.digitize.trace.page import trace_page
from ecg_flare.digitize.trace.page_span import PageSpan
from ecg_flare.digitize.trace.raster import sample_rows
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import PageError

SCALE = PxPerMm(10.0, 20.0)


def test_rows_are_sampled_every_tenth_of_a_millimetre_from_their_levels_upwards() -> None:
    x = np.arange(0.0, 400.0, 0.5)
    rising = np.stack([x, 300.0 - x / 5], axis=1)
    raster = sample_rows([rising], [300.0], PageSpan(50.0, 350.0, "none"), SCALE)
    np.testing.assert_allclose(raster.x_px, np.arange(50.0, 350.0, 1.0))
    np.testing.assert_allclose(raster.y_mm[0], raster.x_px / 5 / 20)
    assert raster.width_px == 400.0
    assert raster.inked == 1.0


def test_a_gap_of_three_millimetres_is_bridged_and_a_longer_one_is_not() -> None:
    x = np.arange(0.0, 400.0, 1.0)
    lines = [np.stack([x, np.full(400, 100.0)], axis=1) for _ in range(2)]
    lines[0][100:129, 1] = np.nan  # 30 pixels from ink to ink
    lines[1][100:131, 1] = np.nan  # 32
    raster = sample_rows(lines, [100.0, 100.0], PageSpan(0.0, 399.0, "none"), SCALE)
    assert np.isfinite(raster.y_mm[0]).all()
    blank = np.flatnonzero(np.isnan(raster.y_mm[1]))
    assert (blank[0], blank[-1]) == (100, 131)
    assert raster.inked == pytest.approx(1 - 32 / 798)


def test_a_page_s_lines_come_with_their_levels_and_the_stretch_of_the_recording() -> None:
    ink = np.zeros((400, 600), np.float32)
    for level in (100, 250):
        ink[level : level + 3, 50:550] = 1.0
    lines = trace_page(ink, (), PxPerMm(8.0, 8.0))
    assert lines.levels_px == pytest.approx((101.0, 251.0))
    assert lines.pen_px == pytest.approx(3.0)
    assert (lines.raster.span.left_px, lines.raster.span.right_px) == pytest.approx((49.5, 549.5), abs=1.5)
    np.testing.assert_allclose(lines.raster.y_mm[:, 10:-10], 0.0, atol=0.01)
    with pytest.raises(PageError, match="no line is 20 mm long"):
        trace_page(np.zeros((400, 600), np.float32), (), PxPerMm(8.0, 8.0))
