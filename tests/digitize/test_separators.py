"""Bars between the columns: what moves the leads along the page, and what is no bar."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_flare.digitize.ink.extraction import Ink
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.separators import settle_on_separators
from ecg_flare.digitize.units import PxPerMm

SCALE = PxPerMm(8.0, 8.0)
LEVELS = (100.0, 220.0, 340.0)
BORDERS = (200.0, 400.0, 600.0)
OFF = 2.4


def spans(inner: tuple[float, ...] = BORDERS) -> list[LeadSpan]:
    edges = (0.0, *inner, 800.0)
    return [
        LeadSpan("I", row, left, right, left / 200, right / 200, False)
        for row in range(len(LEVELS))
        for left, right in pairwise(edges)
    ]


def drawn(bars: dict[float, tuple[int, ...]], wide: float = 3.0) -> NDArray[np.float32]:
    """Rows with level lines 3 pixels thick, and bars around those of the rows that are named for each x."""
    ink = np.zeros((440, 820), np.float32)
    x = np.arange(ink.shape[1])
    for level in LEVELS:
        ink[round(level) - 1 : round(level) + 2, 2:798] = 1.0
    for centre, rows in bars.items():
        across = np.clip(wide / 2 + 0.5 - np.abs(x - centre), 0.0, 1.0)
        for row in rows:
            for top, bottom in ((-45, -10), (10, 45)):
                part = slice(round(LEVELS[row]) + top, round(LEVELS[row]) + bottom)
                ink[part] = np.maximum(ink[part], across)
    return ink


def page(bars: dict[float, tuple[int, ...]], wide: float = 3.0) -> Ink:
    return uncut(drawn(bars, wide))


def uncut(ink: NDArray[np.float32]) -> Ink:
    return Ink(ink, ink, ink)


def offsets(ink: Ink, of: list[LeadSpan]) -> set[float]:
    moved = settle_on_separators(of, ink, LEVELS, SCALE).spans
    assert [span.start_s for span in moved] == [span.start_s for span in of]
    steps = {round(new.left_px - old.left_px, 2) for new, old in zip(moved, of, strict=True)}
    return steps | {round(new.right_px - old.right_px, 2) for new, old in zip(moved, of, strict=True)}


@pytest.mark.parametrize("wide", [4.0, 6.0, 12.0])
@pytest.mark.parametrize("rows", [(0, 1), (0, 1, 2)])
def test_wide_bars_in_some_rows_settle_the_borders(wide: float, rows: tuple[int, ...]) -> None:
    settled = settle_on_separators(spans(), page({b + OFF: rows for b in BORDERS}, wide), LEVELS, SCALE)
    lefts = sorted({round(span.left_px, 3) for span in settled.spans})
    assert lefts == pytest.approx([OFF, *(border + OFF for border in BORDERS)], abs=0.05)
    assert len(settled.bars) == len(BORDERS) * len(rows)
    for bar in settled.bars:
        assert bar.right_px - bar.left_px == pytest.approx(wide, abs=0.1)
        assert bar.place.row in rows
        assert bar.place.kind == "between"


def test_bars_at_the_ends_of_the_rows_settle_the_ends_alone() -> None:
    ends = [LeadSpan("I", row, 30.0, 770.0, 0.0, 3.7, False) for row in range(len(LEVELS))]
    settled = settle_on_separators(ends, page({32.5: (0, 1, 2), 768.5: (0, 1, 2)}, 6.0), LEVELS, SCALE)
    assert [span.left_px for span in settled.spans] == pytest.approx([32.5] * 3, abs=0.05)
    assert [span.right_px for span in settled.spans] == pytest.approx([768.5] * 3, abs=0.05)
    assert [bar.place.kind for bar in settled.bars] == ["begin"] * 3 + ["end"] * 3


def test_strokes_that_lean_alike_are_no_bars() -> None:
    """The steepest QRS complexes of all rows fall at one place: 20 mm in 25 ms."""
    ink = drawn({})
    for border in BORDERS:
        for level in LEVELS:
            for y in range(round(level) - 50, round(level) + 50):
                x = border + (y - level) / 32
                columns = np.arange(ink.shape[1])
                ink[y] = np.maximum(ink[y], np.clip(2.0 - np.abs(columns - x), 0.0, 1.0))
    assert settle_on_separators(spans(), uncut(ink), LEVELS, SCALE).bars == ()


@pytest.mark.parametrize("off", [OFF, -OFF, 0.3])
def test_leads_begin_where_the_bars_stand(off: float) -> None:
    (found,) = offsets(page({border + off: (0, 1, 2) for border in BORDERS}), spans())
    assert found == pytest.approx(off, abs=0.05)


def test_one_border_is_enough_where_a_page_has_but_one() -> None:
    (found,) = offsets(page({400.0 + OFF: (0, 1, 2)}), spans(inner=(400.0,)))
    assert found == pytest.approx(OFF, abs=0.05)


def test_a_beat_beside_a_lone_border_is_no_bar() -> None:
    """All rows of a column beat at one time; a bar goes up and down from the line, a beat here does not."""
    ink = drawn({400.0 + OFF: (0, 1, 2)})
    for level in LEVELS:
        ink[round(level) + 2 : round(level) + 60, 380:420] = 0.0
    assert offsets(uncut(ink), spans(inner=(400.0,))) == {0.0}
    assert offsets(page({400.0 + OFF: (0, 1, 2)}), spans(inner=(400.0,))) != {0.0}


@pytest.mark.parametrize(
    ("bars", "wide"),
    [
        ({}, 3.0),
        ({border + OFF: (1,) for border in BORDERS[:1]}, 3.0),
        ({border + OFF: (0, 1, 2) for border in BORDERS[:1]}, 3.0),
        ({200.0: (0, 1, 2), 402.0: (0, 1, 2), 604.0: (0, 1, 2)}, 3.0),
        ({border + OFF: (0, 1, 2) for border in BORDERS}, 20.0),
        ({border + 20.0: (0, 1, 2) for border in BORDERS}, 3.0),
    ],
    ids=["none", "in one row", "at one border of three", "not all off alike", "too wide", "too far"],
)
def test_what_is_no_bar_moves_nothing(bars: dict[float, tuple[int, ...]], wide: float) -> None:
    assert offsets(page(bars, wide), spans()) == {0.0}


def test_a_page_of_one_column_has_no_borders() -> None:
    assert offsets(page({}), spans(inner=())) == {0.0}


def test_thin_bars_settle_the_borders_and_are_left_to_them() -> None:
    settled = settle_on_separators(spans(), page({b + OFF: (0, 1, 2) for b in BORDERS}, 2.4), LEVELS, SCALE)
    assert settled.spans[1].left_px == pytest.approx(BORDERS[0] + OFF, abs=0.05)
    assert settled.bars == ()


def test_bars_narrower_than_two_pixels_move_no_border_by_a_fraction_of_a_pixel() -> None:
    coarse = PxPerMm(4.0, 4.0)
    settled = settle_on_separators(spans(), page({b + 0.1: (0, 1, 2) for b in BORDERS}, 1.2), LEVELS, coarse)
    assert {span.left_px for span in settled.spans} == {0.0, *BORDERS}
    assert len(settled.bars) == 9


def test_thin_ink_at_the_ends_of_rows_is_no_bar() -> None:
    ends = [LeadSpan("I", row, 30.0, 770.0, 0.0, 3.7, False) for row in range(len(LEVELS))]
    settled = settle_on_separators(ends, page({32.5: (0, 1, 2), 768.5: (0, 1, 2)}, 2.4), LEVELS, SCALE)
    assert settled.bars == ()
    assert settled.spans == tuple(ends)


def test_the_places_of_bars_have_the_settled_borders() -> None:
    settled = settle_on_separators(spans(), page({b + OFF: (0, 1, 2) for b in BORDERS}, 6.0), LEVELS, SCALE)
    assert {bar.place.border_px for bar in settled.bars} <= {span.left_px for span in settled.spans}


@pytest.mark.parametrize("off", [0.1, 0.3, 2.35, -0.2])
@pytest.mark.parametrize("wide", [4.0, 5.9, 9.3])
def test_bars_whose_ink_is_cut_at_both_ends_are_placed_by_their_shade(wide: float, off: float) -> None:
    shade = 1.3 * drawn({b + off: (0, 1, 2) for b in BORDERS}, wide)
    every = np.clip((shade - 0.25) / 0.75, 0.0, 1.0)
    settled = settle_on_separators(spans(), Ink(every, every, shade), LEVELS, SCALE)
    assert sorted({span.left_px for span in settled.spans})[1:] == pytest.approx([b + off for b in BORDERS], abs=0.01)
    for bar in settled.bars:
        assert bar.right_px - bar.left_px == pytest.approx(wide, abs=0.02)


def test_wide_bars_where_the_ink_has_the_borders_already_move_nothing() -> None:
    settled = settle_on_separators(spans(), page({b + 0.03: (0, 1, 2) for b in BORDERS}, 6.0), LEVELS, SCALE)
    assert {span.left_px for span in settled.spans} == {0.0, *BORDERS}
    assert len(settled.bars) == 9
