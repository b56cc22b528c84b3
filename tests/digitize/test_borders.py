"""Leads that follow each other in a row, told apart at their border: cut strokes, separators, rows without a border."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_flare.digitize.leads.borders import part_leads
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.trace.refine import pen_px, refine_row
from ecg_flare.digitize.trace.rows import trace_rows
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.stroke import distance_to_strokes, stroke_coverage

PEN_PX = 2.4
WIDTH, HEIGHT = 900, 400
SCALE = PxPerMm(8.0, 8.0)
BORDER = 450.3
LEVELS = (80.0, 200.0, 320.0)
Line = NDArray[np.float64]


def stroke(first: float, last: float, y: Line | float) -> Line:
    x = np.arange(first, last, 0.5)
    return np.stack([x, np.broadcast_to(y, x.shape)], axis=1)


def cut_beat(level: float, jump: float) -> Line:
    """A lead that begins within the last stroke of a QRS: `jump` pixels from its level, there after 4 pixels."""
    x = np.arange(BORDER, WIDTH - 20, 0.5)
    return np.stack([x, level + jump * np.exp(-(x - BORDER) / 4.0)], axis=1)


def ink_of(strokes: list[Line]) -> NDArray[np.float32]:
    return stroke_coverage(distance_to_strokes(strokes, (HEIGHT, WIDTH), PEN_PX), PEN_PX).astype(np.float32)


def spans(number: int) -> list[LeadSpan]:
    return [
        LeadSpan("I", number, 20.0, BORDER, 0.0, 2.5, False),
        LeadSpan("aVR", number, BORDER, WIDTH - 20.0, 2.5, 5.0, False),
    ]


def read(
    ink: NDArray[np.float32], with_border: tuple[int, ...] = (0, 1, 2)
) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """The rows' lines fitted as a whole, and with their leads told apart."""
    rows = trace_rows(ink, SCALE)
    assert len(rows) == len(LEVELS)
    pen = pen_px(rows)
    whole = tuple(refine_row(row, pen) for row in rows)
    parted = part_leads(ink, rows, whole, [span for row in with_border for span in spans(row)], SCALE, pen)
    return whole, parted


def at(line: Line, x: Line) -> Line:
    """The line at x, from points on the same side of the border alone, as a recording is made of it."""
    own = (line[:, 0] > BORDER) == (x[0] > BORDER)
    known = own & np.isfinite(line[:, 1])
    return np.interp(x, line[known, 0], line[known, 1])


@pytest.mark.parametrize("jump", [-70.0, 70.0])
def test_a_qrs_that_a_border_cuts_is_read_up_to_the_border(jump: float) -> None:
    leads = [(stroke(20.0, BORDER, level), cut_beat(level + 10.0, jump)) for level in LEVELS]
    whole, parted = read(ink_of([line for pair in leads for line in pair]))
    begin = np.arange(BORDER + 0.5, BORDER + 10.0, 0.5)
    end = np.arange(BORDER - 10.0, BORDER, 0.5)
    for before, after, (left, right) in zip(whole, parted, leads, strict=True):
        truth = np.interp(begin, right[:, 0], right[:, 1])
        error = np.abs(at(after, begin) - truth)
        assert error.max() < 0.15 * abs(jump)
        assert np.median(error) < 1.0
        assert np.abs(at(before, begin) - truth).max() > 0.4 * abs(jump)
        np.testing.assert_allclose(at(after, end), left[0, 1], atol=0.5)


def test_a_separator_in_all_rows_is_no_beat() -> None:
    lines = [stroke(20.0, WIDTH - 20.0, level) for level in LEVELS]
    bars = [np.array([[BORDER, level - 25.0], [BORDER, level + 45.0]]) for level in LEVELS]
    whole, parted = read(ink_of([*lines, *bars]))
    for before, after, level in zip(whole, parted, LEVELS, strict=True):
        assert np.nanmax(np.abs(before[:, 1] - level)) > 10.0
        assert np.nanmax(np.abs(after[10:-10, 1] - level)) < 0.5


def test_a_stroke_at_the_border_of_one_row_alone_is_kept() -> None:
    x = np.arange(20.0, WIDTH - 20.0, 0.5)
    beat = np.stack([x, LEVELS[1] - 60.0 * np.exp(-0.5 * ((x - BORDER) / 3.0) ** 2)], axis=1)
    flat = [stroke(20.0, WIDTH - 20.0, level) for level in (LEVELS[0], LEVELS[2])]
    _, parted = read(ink_of([flat[0], beat, flat[1]]))
    assert np.nanmin(parted[1][:, 1]) == pytest.approx(LEVELS[1] - 60.0, abs=4.0)


def test_rows_without_a_border_and_the_rest_of_the_others_stay_as_they_were() -> None:
    whole, parted = read(ink_of([stroke(20.0, WIDTH - 20.0, level) for level in LEVELS]), with_border=(0, 1))
    assert parted[2] is whole[2]
    far = np.abs(whole[0][:, 0] - BORDER) > 20.0
    kept = np.abs(parted[0][:, 0] - BORDER) > 20.0
    np.testing.assert_array_equal(parted[0][kept], whole[0][far])
    assert np.all(np.diff(parted[0][:, 0]) > 0)


def test_a_border_at_the_edge_of_the_picture_is_left_alone() -> None:
    ink = ink_of([stroke(0.0, WIDTH, level) for level in LEVELS])
    rows = trace_rows(ink, SCALE)
    whole = [refine_row(row, PEN_PX) for row in rows]
    edge = WIDTH - 10.0
    near = [LeadSpan("I", 0, 0.0, edge, 0.0, 2.5, False), LeadSpan("aVR", 0, edge, WIDTH - 1.0, 2.5, 2.6, False)]
    assert part_leads(ink, rows, whole, near, SCALE, PEN_PX)[0] is whole[0]
