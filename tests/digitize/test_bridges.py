"""Bars taken off the lines that they hide: followed where they are seen, held where they are not, and no swing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_flare.digitize.ink.extraction import Ink
from ecg_flare.digitize.leads.bars import Bar, Place
from ecg_flare.digitize.leads.bridges import bridge_bars
from ecg_flare.digitize.trace.refine import pen_px, refine_row
from ecg_flare.digitize.trace.rows import trace_rows
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.stroke import distance_to_strokes, stroke_coverage

PEN_PX = 2.4
WIDTH, HEIGHT = 600, 240
SCALE = PxPerMm(8.0, 8.0)
BORDER, LEVEL = 300.3, 120.0
BETWEEN = Place(BORDER, 0, LEVEL, "between")
Coverage = NDArray[np.float32]


def line(jump: float = 0.0) -> NDArray[np.float64]:
    """A level line that leaps at the border."""
    x = np.arange(20.0, WIDTH - 20.0, 0.5)
    return np.stack([x, np.where(x < BORDER, LEVEL, LEVEL + jump)], axis=1)


def ink_of(stroke: NDArray[np.float64]) -> Coverage:
    return stroke_coverage(distance_to_strokes([stroke], (HEIGHT, WIDTH), PEN_PX), PEN_PX).astype(np.float32)


def with_bar(ink: Coverage, wide: float, parts: list[tuple[int, int]]) -> Coverage:
    barred = ink.copy()
    across = np.clip(wide / 2 + 0.5 - np.abs(np.arange(WIDTH) - BORDER), 0.0, 1.0)
    for top, bottom in parts:
        part = slice(round(LEVEL) + top, round(LEVEL) + bottom)
        barred[part] = np.maximum(barred[part], across)
    return barred


def bridged(ink: Coverage, wide: float, place: Place = BETWEEN) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The row's line fitted as a whole, and without the bar."""
    rows = trace_rows(ink, SCALE)
    pen = pen_px(rows)
    whole = [refine_row(row, pen) for row in rows]
    bar = Bar(place, BORDER - wide / 2, BORDER + wide / 2)
    return whole[0], bridge_bars(Ink(ink, ink, ink), rows, whole, [bar], SCALE, pen)[0]


@pytest.mark.parametrize("wide", [2.4, 6.0, 12.0])
@pytest.mark.parametrize("parts", [[(-40, 40)], [(-50, -2), (2, 50)], [(-16, 16)]], ids=["line", "ticks", "short"])
def test_a_bar_through_a_level_line_leaves_no_swing(wide: float, parts: list[tuple[int, int]]) -> None:
    before, after = bridged(with_bar(ink_of(line()), wide, parts), wide)
    near = np.abs(after[:, 0] - BORDER) < 20.0
    if wide > PEN_PX:
        assert np.abs(before[np.abs(before[:, 0] - BORDER) < 20.0, 1] - LEVEL).max() > 2.0
    np.testing.assert_allclose(after[near, 1], LEVEL, atol=0.5)
    assert np.all(np.diff(after[:, 0]) > 0)


@pytest.mark.parametrize("jump", [-24.0, 24.0])
def test_each_lead_is_held_up_to_the_middle_of_the_bar(jump: float) -> None:
    _, after = bridged(with_bar(ink_of(line(jump)), 6.0, [(-40, 40)]), 6.0)
    left, right = (
        after[(after[:, 0] > 30.0) & (after[:, 0] <= BORDER)],
        after[(after[:, 0] > BORDER) & (after[:, 0] < 570)],
    )
    np.testing.assert_allclose(left[:, 1], LEVEL, atol=0.5)
    np.testing.assert_allclose(right[:, 1], LEVEL + jump, atol=0.5)


def test_a_beat_that_reaches_beyond_a_short_bar_is_seen_there() -> None:
    x = np.arange(20.0, WIDTH - 20.0, 0.25)
    beat = np.stack([x, LEVEL - 90.0 * np.clip(1.0 - np.abs(x - BORDER) / 9.0, 0.0, 1.0)], axis=1)
    _, after = bridged(with_bar(ink_of(beat), 6.0, [(-30, 30)]), 6.0)
    truth = np.interp(after[:, 0], x, beat[:, 1])
    near = np.abs(after[:, 0] - BORDER) < 9.0
    assert np.abs(after[near, 1] - truth[near]).max() < 12.0


def test_a_row_without_a_border_runs_straight_through_under_the_bar() -> None:
    x = np.arange(20.0, WIDTH - 20.0, 0.5)
    slope = np.stack([x, LEVEL + 0.2 * (x - BORDER)], axis=1)
    _, after = bridged(with_bar(ink_of(slope), 12.0, [(-40, 40)]), 12.0, Place(BORDER, 0, LEVEL, "through"))
    near = np.abs(after[:, 0] - BORDER) < 20.0
    np.testing.assert_allclose(after[near, 1], LEVEL + 0.2 * (after[near, 0] - BORDER), atol=0.7)


def test_a_lead_begins_at_the_border_though_its_bar_stands_beside_it() -> None:
    ink = with_bar(ink_of(line(24.0)), 6.0, [(-40, 40)])
    rows = trace_rows(ink, SCALE)
    pen = pen_px(rows)
    whole = [refine_row(row, pen) for row in rows]
    bar = Bar(BETWEEN, BORDER - 2.6, BORDER + 3.4)
    (after,) = bridge_bars(Ink(ink, ink, ink), rows, whole, [bar], SCALE, pen)
    first = after[(after[:, 0] > BORDER) & (after[:, 0] < BORDER + 10.0), 1]
    np.testing.assert_allclose(first, LEVEL + 24.0, atol=0.5)


def test_a_line_beside_a_bar_is_seen_where_the_segmenter_took_both_for_print() -> None:
    every = with_bar(ink_of(line()), 6.0, [(-40, 40)])
    trace = every.copy()
    trace[:, round(BORDER) - 4 : round(BORDER) + 1] = 0.0
    rows = trace_rows(trace, SCALE)
    pen = pen_px(rows)
    whole = [refine_row(row, pen) for row in rows]
    bar = Bar(BETWEEN, BORDER - 3.0, BORDER + 3.0)
    (after,) = bridge_bars(Ink(trace, every, every), rows, whole, [bar], SCALE, pen)
    near = np.abs(after[:, 0] - BORDER) < 20.0
    np.testing.assert_allclose(after[near, 1], LEVEL, atol=0.5)


def test_a_line_under_dashes_is_followed_between_them_alone() -> None:
    """One dash lies beside the left line's level, at the right one's."""
    dashes = [(top, top + 6) for top in range(-45, 45, 13)]
    _, after = bridged(with_bar(ink_of(line(-8.0)), 12.0, dashes), 12.0)
    left = after[(after[:, 0] > 270.0) & (after[:, 0] <= BORDER), 1]
    right = after[(after[:, 0] > BORDER) & (after[:, 0] < 330.0), 1]
    np.testing.assert_allclose(left, LEVEL, atol=1.0)
    np.testing.assert_allclose(right, LEVEL - 8.0, atol=1.0)
