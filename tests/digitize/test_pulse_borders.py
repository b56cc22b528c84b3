"""Columns between pulses: each lead begins after its own, and time goes on as it is printed."""

from dataclasses import replace

import numpy as np
import pytest
from rasters import raster

from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.placement import place_layout
from ecg_flare.digitize.leads.pulse_borders import place_between_pulses
from ecg_flare.page.layout import load_layout


def page(columns_px: list[tuple[float, float]], rows: int, length_px: int = 3000) -> LabelledRows:
    """A page at 10 px/mm and 25 mm/s: 250 px/s."""
    drawn = raster(np.zeros((rows, length_px)))
    edges = [edge for column in columns_px for edge in column]
    gaps = tuple(zip(edges[1:-1:2], edges[2:-1:2], strict=True))
    span = replace(drawn.span, left_px=edges[0], right_px=edges[-1], gaps=gaps)
    return LabelledRows(replace(drawn, span=span), (), 25.0)


def test_each_column_is_as_long_as_its_ink_and_the_gap_is_no_time() -> None:
    """Two columns of 5 s, 9 mm of pulses between them; the last sample is drawn 2 ms before a column's end."""
    spans = place_layout(page([(100.0, 1349.5), (1440.0, 2689.5)], 6), load_layout("6x2"))
    first, second = spans[0], spans[1]
    assert (first.lead, second.lead) == ("I", "V1")
    assert (first.left_px, first.right_px) == pytest.approx((100.0, 1350.0))
    assert (second.left_px, second.right_px) == pytest.approx((1440.0, 2690.0))
    assert [first.start_s, first.end_s, second.start_s, second.end_s] == pytest.approx([0.0, 5.0, 5.0, 10.0])
    assert {(span.left_px, span.start_s) for span in spans} == {
        (first.left_px, first.start_s),
        (second.left_px, second.start_s),
    }


def test_ink_that_is_missing_at_a_column_is_shared_by_its_ends() -> None:
    spans = place_layout(page([(100.0, 1347.5), (1440.0, 2687.5)], 6), load_layout("6x2"))
    assert spans[0].left_px == pytest.approx(99.0)
    assert spans[0].right_px == pytest.approx(1349.0)


def test_an_end_that_a_pulse_touches_takes_the_whole_difference() -> None:
    touched = page([(100.0, 1347.5), (1440.0, 2687.5)], 6)
    span = replace(touched.rows.span, touched=frozenset({1, 2}))  # the first column's end, the second one's begin
    spans = place_layout(replace(touched, rows=replace(touched.rows, span=span)), load_layout("6x2"))
    assert (spans[0].left_px, spans[0].right_px) == pytest.approx((100.0, 1350.0))
    assert (spans[1].left_px, spans[1].right_px) == pytest.approx((1438.0, 2688.0))


def test_a_length_that_no_layout_has_is_kept() -> None:
    """3.04 s a column: no ink is cut off for a length of 3 s."""
    spans = place_layout(page([(100.0, 859.5), (940.0, 1699.5)], 6), load_layout("6x2"))
    assert spans[0].duration_s == pytest.approx(3.04)
    assert spans[1].start_s == pytest.approx(3.04)


def test_columns_that_are_a_little_too_long_are_mended() -> None:
    """2.203 s a column, as ink of the pulses' strokes is taken for theirs: seven eighths of 10 s are 8.75."""
    columns = [(100.0 + 700.0 * k, 650.25 + 700.0 * k) for k in range(4)]
    spans = place_layout(page(columns, 3), load_layout("3x4"))
    assert [span.start_s for span in spans[:4]] == pytest.approx([0.0, 2.1875, 4.375, 6.5625])


def test_a_rhythm_strip_is_as_long_as_all_columns_without_their_gaps() -> None:
    columns = [(100.0 + 715.0 * k, 724.5 + 715.0 * k) for k in range(4)]
    strip = place_layout(page(columns, 4), load_layout("3x4+1R"))[-1]
    assert strip.is_rhythm
    assert (strip.left_px, strip.right_px) == pytest.approx((100.0, 2600.0))
    assert (strip.start_s, strip.end_s) == pytest.approx((0.0, 10.0))


@pytest.mark.parametrize(("layout", "rows", "columns"), [("12x1", 12, 2), ("6x2", 6, 1), ("6x2", 6, 3), ("3x4", 3, 2)])
def test_a_layout_of_other_columns_is_not_placed_by_pulses(layout: str, rows: int, columns: int) -> None:
    stretches = [(100.0 + 900.0 * k, 900.0 + 900.0 * k) for k in range(columns)]
    assert place_between_pulses(page(stretches, rows), load_layout(layout)) is None
