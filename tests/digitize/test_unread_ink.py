"""Strokes drawn beside a line, and named by the lead that they stand at."""

from dataclasses import replace

import numpy as np
import pytest
from rasters import raster

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.unread_stretches import unread_stretches
from ecg_flare.digitize.leads.unread_strokes import may_be_peaks, unread_strokes
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.trace.unread_ink import InkPiece, UnreadInk, unread_ink
from ecg_flare.digitize.units import PxPerMm

SCALE = PxPerMm(10.0, 10.0)
SPANS = (LeadSpan("V1", 0, 0.0, 500.0, 0.0, 2.0, False), LeadSpan("V4", 0, 500.0, 1000.0, 2.0, 4.0, False))


def row(level: float = 200.0) -> RowTrace:
    flat = np.full(1000, level)
    return RowTrace(flat, flat - 2, flat + 2, level, np.zeros(1000, bool))


def page(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A line at y 200, and boxes of ink (left, top, width, height)."""
    ink = np.zeros((400, 1000), np.float32)
    ink[198:203] = 1.0
    for left, top, width, height in boxes:
        ink[top : top + height, left : left + width] = 1.0
    return ink


def test_the_line_s_own_ink_is_explained_and_a_stroke_above_it_is_not() -> None:
    assert unread_ink(page(), (row(),), SCALE) == UnreadInk()
    # 2 px of rim above the line's ink at 198 belong to it
    assert unread_ink(page((700, 100, 6, 98)), (row(),), SCALE).steep == (InkPiece(700.0, 100.0, 6.0, 96.0),)


def test_specks_are_left_out() -> None:
    assert unread_ink(page((700, 100, 5, 14)), (row(),), SCALE) == UnreadInk()


def test_a_stroke_is_named_by_its_lead_time_and_the_energy_of_a_triangle() -> None:
    lines = PageLines(
        (row(),), (), 3.0, raster(np.zeros((1, 1000))), unread_ink(page((747, 100, 6, 90)), (row(),), SCALE)
    )
    (stroke,) = unread_strokes(lines, SPANS, lambda _: 10.0)
    assert (stroke.lead, stroke.height_mm, stroke.is_tall) == ("V4", 9.0, True)
    assert stroke.time_s == pytest.approx(3.0)
    assert stroke.energy == pytest.approx(0.9**2 / 3 * 6 / 250.0)
    assert may_be_peaks((stroke,), np.array([1.0, 3.1])) == (stroke,)
    assert may_be_peaks((stroke,), np.array([1.0, 4.0])) == ()
    assert may_be_peaks((stroke,), np.array([])) == (stroke,)
    assert may_be_peaks((replace(stroke, height_mm=4.0),), np.array([3.0])) == ()


def test_the_strokes_of_a_beat_that_was_left_out_count_though_its_base_line_is_wide() -> None:
    ink = page((600, 160, 200, 3), (700, 60, 5, 103))
    unread = unread_ink(ink, (row(),), SCALE)
    (stroke,), (base,) = unread.steep, unread.level
    assert (stroke.left_px, stroke.width_px, stroke.height_px) == (700.0, 5.0, 103.0)
    assert (base.left_px, base.width_px) == (600.0, 200.0)


def test_wide_ink_ink_far_from_the_rows_and_a_bar_between_leads_are_no_strokes() -> None:
    boxes = ((600, 100, 80, 40), (700, 0, 4, 40), (496, 110, 8, 80))
    lines = PageLines((row(),), (), 3.0, raster(np.zeros((1, 1000))), unread_ink(page(*boxes), (row(),), SCALE))
    assert len(lines.unread.steep) == 3
    assert unread_strokes(lines, SPANS, lambda _: 10.0) == ()


def begun_at(first: int) -> RowTrace:
    """A row without a line before the column."""
    y = row().y.copy()
    y[:first] = np.nan
    return replace(row(), y=y)


@pytest.mark.parametrize(("first", "told"), [(506, True), (500, False), (520, False)])
def test_a_stroke_at_a_lead_s_end_is_its_own_if_the_line_goes_on_from_it(first: int, told: bool) -> None:
    """A steep beginning of V4; a bar that the line runs under; a pulse's stroke, apart from its lead."""
    lines = PageLines(
        (begun_at(first),), (), 3.0, raster(np.zeros((1, 1000))), (unread_ink(page((501, 201, 5, 90)), (), SCALE))
    )
    found = unread_strokes(lines, SPANS[1:], lambda _: 10.0)
    assert [stroke.lead for stroke in found] == ["V4"] * told


def test_a_level_line_at_a_row_s_height_that_the_row_left_is_told() -> None:
    """For 8 mm V4's line runs 10 mm above its own ink: 1 mV for 0.32 s."""
    y_mm = np.zeros((1, 1000))
    y_mm[0, 600:680] = 10.0
    ink = page((600, 210, 80, 4))
    rows = replace(raster(y_mm), level_px=np.array([200.0]))
    lines = PageLines((row(),), (), 3.0, rows, unread_ink(ink, (row(),), SCALE))
    (stretch,) = unread_stretches(lines, SPANS, lambda _: 10.0)
    assert stretch.lead == "V4"
    assert stretch.time_s == pytest.approx(2.4)
    assert stretch.energy == pytest.approx(1.1**2 * 0.32, rel=0.05)


def test_the_paper_s_edge_is_no_lost_line() -> None:
    """4 mm above a row whose own line rests at its level."""
    ink = page((0, 158, 1000, 4))
    rows = replace(raster(np.zeros((1, 1000))), level_px=np.array([200.0]))
    lines = PageLines((row(),), (), 3.0, rows, unread_ink(ink, (row(),), SCALE))
    assert len(lines.unread.level) == 1
    assert unread_stretches(lines, SPANS, lambda _: 10.0) == ()


def test_level_ink_far_from_a_row_and_strokes_of_letters_are_no_lines() -> None:
    ink = page((600, 330, 200, 4), (100, 210, 15, 4))
    rows = replace(raster(np.zeros((1, 1000))), level_px=np.array([200.0]))
    lines = PageLines((row(),), (), 3.0, rows, unread_ink(ink, (row(),), SCALE))
    assert unread_stretches(lines, SPANS, lambda _: 10.0) == ()
