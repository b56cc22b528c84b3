"""The page with what was read drawn over it: lines and grid where they are."""

import numpy as np
import pytest

from ecg_flare.digitize.files.overlay import draw_overlay, grid_phase, span_polyline
from ecg_flare.digitize.rectify.light import grid_darkness
from ecg_flare.digitize.result import Digitization
from ecg_flare.page.render import Page


def test_the_overlay_shows_the_lines_where_they_were_read(clean_reading: Digitization) -> None:
    overlay = draw_overlay(clean_reading)

    scale = overlay.shape[1] / clean_reading.page.image.shape[1]
    caption = overlay.shape[0] - round(clean_reading.page.image.shape[0] * scale)
    assert max(overlay.shape[:2]) >= 1500
    for span in (lead.span for lead in clean_reading.leads[:3]):
        line = span_polyline(clean_reading, span)
        x, y = line[np.isfinite(line).all(axis=1)][len(line) // 2]
        pixel = overlay[caption + round((y + 0.5) * scale - 0.5), round((x + 0.5) * scale - 0.5)].astype(int)
        assert pixel.max() - pixel.min() > 60  # a colour, on a faded page


def test_the_overlay_lays_the_measured_grid_where_the_paper_has_its_own(
    clean_page: Page, clean_reading: Digitization
) -> None:
    square = 5 * 100 / 25.4  # px, of the grid as printed
    shifted = np.full((300, 800, 3), 255, np.uint8)
    for x in np.arange(7.0, 800.0, square):
        shifted[:, round(x)] = (230, 120, 120)

    assert grid_phase(grid_darkness(shifted).mean(axis=0), square) == pytest.approx(7.0, abs=0.5)

    overlay = draw_overlay(clean_reading).astype(int)
    red = (overlay[:, :, 0] - overlay[:, :, 1]) > 40
    columns = np.flatnonzero(red[100:].mean(axis=0) > 0.5)
    scale = overlay.shape[1] / clean_page.image.shape[1]
    assert np.median(np.diff(columns)[np.diff(columns) > 3]) == pytest.approx(square * scale, abs=1.5)
