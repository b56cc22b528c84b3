"""Lines drawn with a known pen, and found again: rows, runs, crossings, the fit of the pen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.digitize.trace.overlap import ALONE, BETWEEN, separate_lines
from ecg_flare.digitize.trace.ranks import rank_rows
from ecg_flare.digitize.trace.refine import pen_px, refine_row
from ecg_flare.digitize.trace.rows import fill_gaps, trace_rows
from ecg_flare.digitize.trace.runs import GAP, find_runs
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.stroke import distance_to_strokes, stroke_coverage

PEN_PX = 2.4
WIDTH = 900
SCALE = PxPerMm(8.0, 8.0)


def drawn(*lines: np.ndarray, height: int = 400) -> np.ndarray:
    """Ink of lines, each y over the columns' middles at half pixels."""
    x = np.arange(0, WIDTH, 0.5)
    strokes = [np.stack([x, line], axis=1) for line in lines]
    return stroke_coverage(distance_to_strokes(strokes, (height, WIDTH), PEN_PX), PEN_PX).astype(np.float32)


def beats(level: float, height: float, sigma: float = 3.0) -> np.ndarray:
    """A flat line with a narrow Gaussian peak every 150 pixels."""
    x = np.arange(0, WIDTH, 0.5)
    peaks = sum(np.exp(-0.5 * ((x - centre) / sigma) ** 2) for centre in range(80, WIDTH, 150))
    return np.asarray(level - height * peaks)


@given(st.floats(50.0, 150.0), st.floats(1.5, 4.0))
@settings(max_examples=25, deadline=None)
def test_middle_of_a_run_is_the_line_to_a_few_hundredths_of_a_pixel(y: float, pen: float) -> None:
    line = np.array([[0.0, y], [99.0, y]])
    ink = stroke_coverage(distance_to_strokes([line], (200, 100), pen), pen).astype(np.float32)
    runs = find_runs(ink)
    assert runs.n_columns == 100
    inner = (runs.column > 5) & (runs.column < 95)
    np.testing.assert_allclose(runs.centre[inner], y, atol=0.05)
    np.testing.assert_allclose(runs.mass[inner], pen, atol=0.1)


def test_runs_of_a_column_are_listed_from_the_top() -> None:
    ink = np.zeros((10, 3), np.float32)
    ink[2:4, 1] = 1
    ink[7, 1] = 0.8
    runs = find_runs(ink)
    assert list(runs.start) == [0, 0, 2, 2]
    np.testing.assert_allclose(runs.centre, [2.5, 7.0])
    np.testing.assert_allclose(runs.mass, [2.0, 0.8])
    np.testing.assert_allclose([runs.top[0], runs.bottom[0]], [1.5, 3.5])


def test_rows_are_found_and_followed() -> None:
    lines = [beats(80, 50), beats(200, -30), beats(320, 60)]
    rows = trace_rows(drawn(*lines), SCALE)
    assert len(rows) == 3
    for row, line in zip(rows, lines, strict=True):
        assert row.coverage == 1.0
        error = row.y[5:-5] - line[::2][5:-5]
        assert np.median(np.abs(error)) < 0.05


def test_the_fitted_pen_keeps_peaks_that_the_mean_flattens() -> None:
    """The mean of a column's ink loses a tenth of a peak of 2.2 pixels; the fit at least four fifths of that less."""
    line = beats(200, 120, sigma=2.2)
    (row,) = trace_rows(drawn(line), SCALE)
    x = np.arange(0, WIDTH, 0.5)
    polyline = refine_row(row, pen_px([row]))
    fitted = np.interp(x, polyline[:, 0], polyline[:, 1])
    mean = np.interp(x, np.arange(WIDTH), row.y)
    inner = slice(20, -20)
    assert np.std((mean - line)[inner]) > 2.0
    assert np.std((fitted - line)[inner]) < 0.4 * np.std((mean - line)[inner])
    assert fitted.min() == pytest.approx(line.min(), abs=4.0)


def test_rows_that_wander_keep_their_rank() -> None:
    x = np.arange(0, WIDTH, 0.5)
    lines = [100 + 60 * np.sin(x / 200), 160 + 60 * np.sin(x / 200), 330 + 0 * x]
    ranks = rank_rows(find_runs(drawn(*lines)))
    assert ranks is not None
    assert ranks.n_rows == 3
    rows = trace_rows(drawn(*lines), SCALE)
    for row, line in zip(rows, lines, strict=True):
        assert np.nanmax(np.abs(row.y - line[::2])[5:-5]) < 1.0


def test_a_stroke_across_the_next_row_is_followed_by_its_own() -> None:
    """The upper row's S wave reaches far below the lower row's rest."""
    lines = [beats(120, -140, sigma=5.0), beats(200, 0.0)]
    ink = drawn(*lines)
    upper, lower = trace_rows(ink, SCALE)
    assert np.nanmax(upper.y) == pytest.approx(260, abs=6)
    assert np.nanmax(np.abs(lower.y - 200)) < 3
    for row in (upper, lower):
        beat = np.abs((np.arange(WIDTH) - 80) % 150 - 75) > 60  # within 15 columns of a peak
        assert row.shared.any()
        assert not row.shared[~beat].any()


def test_no_row_on_an_empty_page_or_one_of_specks() -> None:
    assert trace_rows(np.zeros((200, 300), np.float32), SCALE) == ()
    specks = np.zeros((200, 300), np.float32)
    specks[::40, ::50] = 1
    assert trace_rows(specks, SCALE) == ()


def test_shared_columns_are_crossed_straight() -> None:
    y = np.array([10.0, 12.0, 14.0, 40.0, 40.0, 40.0, 22.0, 24.0, 26.0])
    side = np.array([ALONE] * 3 + [BETWEEN] * 3 + [ALONE] * 3)
    top, bottom = np.where(side != ALONE, -1.0, y - 1.0), np.where(side != ALONE, 80.0, y + 1.0)
    line, line_top, line_bottom = separate_lines(y, top, bottom, side)
    np.testing.assert_allclose(line, np.arange(10.0, 27.0, 2.0))
    # a line that falls 2 pixels a column under a pen of 2 pixels leaves 4 pixels of ink in each
    np.testing.assert_allclose(line_bottom[3:6] - line_top[3:6], 4.0)


@pytest.mark.parametrize("upside_down", [False, True])
def test_a_peak_that_runs_into_the_next_row_is_read_to_its_tip(upside_down: bool) -> None:
    """A deep S wave beside the R wave of the row below: their ink is one run down to the other row's base line."""
    upper, lower = beats(100, -112, sigma=2.5), beats(240, 60, sigma=2.5)
    lower = np.roll(lower, -8)  # the R wave comes 4 pixels before
    lines = (399 - lower, 399 - upper) if upside_down else (upper, lower)
    rows = trace_rows(drawn(*lines), SCALE)
    assert len(rows) == 2
    deep, tall = (rows[1], rows[0]) if upside_down else rows
    deep_y, tall_y = (399 - deep.y, 399 - tall.y) if upside_down else (deep.y, tall.y)
    for centre in range(230, WIDTH - 20, 150):
        assert np.nanmax(deep_y[centre - 6 : centre + 7]) == pytest.approx(212, abs=28)
        assert np.nanmin(tall_y[centre - 12 : centre + 7]) == pytest.approx(180, abs=28)


def test_a_gap_is_filled_by_ink_that_hangs_together_and_is_nobodys() -> None:
    """A lead ends at the foot of a peak, and the next one begins far above: the path may leave the peak out."""
    ink = np.zeros((60, 12), np.float32)
    ink[20:22, :4] = 1
    ink[20:40, 4] = 1
    ink[38:50, 5] = 1
    ink[10:12, 6:] = 1
    ink[55:57, :] = 1
    runs = find_runs(ink)
    taken = np.arange(len(runs.centre)).reshape(-1, 2).T  # two runs a column
    broken = taken.copy()
    broken[0, 4:6] = GAP
    np.testing.assert_array_equal(fill_gaps(runs, broken, max_columns=10), taken)
    np.testing.assert_array_equal(fill_gaps(runs, broken, max_columns=2), broken)
    apart = taken.copy()
    apart[0, 6:8] = GAP
    filled = fill_gaps(runs, apart, max_columns=10)
    np.testing.assert_array_equal(filled, taken)
    foreign = np.where(np.arange(12) == 5, GAP, taken)
    foreign[1, 5] = taken[0, 5]
    assert fill_gaps(runs, foreign, max_columns=10)[0, 5] == GAP
