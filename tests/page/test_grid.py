from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.ecg.record import Recording
from ecg_flare.page.render import render_page
from ecg_flare.page.style import GridStyle, PageStyle, PrintStyle

PX_PER_MM = 10.0
BOXES = PageStyle(
    layout="12x1",
    dpi=254.0,
    pulse="none",
    grid=GridStyle(boxes=True, phase_x_mm=3.0, phase_y_mm=2.0, coarse_mm=0.3, fine_mm=0.1, colour="black"),
    text=PrintStyle(header=False, footer=False, labels="none"),
)


@pytest.fixture(scope="module")
def nothing() -> Recording:
    return Recording(np.full((12, 10), np.nan, np.float32), 500.0)


def dark_runs(profile: np.ndarray) -> list[tuple[int, int]]:
    """First and last pixel of each run that is darker than the paper."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (profile < 250).astype(int), [0]])))
    return [(start, stop - 1) for start, stop in edges.reshape(-1, 2).tolist()]


def test_each_row_has_a_frame_of_grid_of_its_own_on_bare_paper(nothing: Recording) -> None:
    image = render_page(nothing, BOXES, np.random.default_rng(0)).image[..., 1].astype(int)
    # 200 mm for 12 rows of 16.67 mm: boxes of 14 mm, over 250 mm of traces and 1.5 mm at each side
    frames = np.flatnonzero(np.diff(np.concatenate([[0], ((image < 250).mean(axis=1) > 0.05).astype(int), [0]])))
    tops, bottoms = frames[::2], frames[1::2]
    assert len(tops) == 12
    np.testing.assert_allclose(bottoms - tops, 14.3 * PX_PER_MM, atol=2)
    np.testing.assert_allclose(np.diff(tops), 200 / 12 * PX_PER_MM, atol=2)
    middle = image[(tops[3] + bottoms[3]) // 2 - 7]
    inked = np.flatnonzero(middle < 250)
    assert (inked[-1] - inked[0]) / PX_PER_MM == pytest.approx(253 + 0.3, abs=0.2)
    assert (image[: tops[0] - 1] == 255).all()
    for bottom, top in zip(bottoms[:-1], tops[1:], strict=True):
        assert (image[bottom + 1 : top - 1] == 255).all()


def test_the_lines_of_a_box_start_at_its_edges(nothing: Recording) -> None:
    image = render_page(nothing, BOXES, np.random.default_rng(0)).image[..., 1].astype(int)
    left = int(np.flatnonzero((image < 250).any(axis=0))[0])
    coarse = [
        run for run in dark_runs(image[:, left + 25]) if run[1] - run[0] >= 1 and image[run[0] + 1, left + 25] < 110
    ]
    centres = np.array([(start + stop) / 2 for start, stop in coarse])
    np.testing.assert_allclose(np.diff(centres[:4]), [50, 50, 40], atol=1)  # 0, 5, 10 and 14 mm of the first box


@pytest.mark.parametrize(("squares", "step_mm"), [(5, 1.0), (4, 1.25), (2, 2.5)])
def test_a_big_square_has_as_many_small_ones_as_asked(nothing: Recording, squares: int, step_mm: float) -> None:
    grid = GridStyle(squares=squares, colour="black", fine_mm=0.2, coarse_mm=0.2)
    image = render_page(nothing, replace(BOXES, grid=grid), np.random.default_rng(0)).image[..., 1].astype(int)
    centres = np.array([(start + stop) / 2 for start, stop in dark_runs(image[3])])
    assert np.diff(centres[2:-2]).mean() == pytest.approx(step_mm * PX_PER_MM, rel=0.01)


def test_an_empty_grid_has_no_trace_and_no_print(nothing: Recording) -> None:
    style = replace(BOXES, dpi=100.0, grid=GridStyle(squares=4))
    page = render_page(nothing, style, np.random.default_rng(0))
    assert (page.truth.traces, page.truth.pulses, page.truth.print_boxes) == ((), (), ())
    assert page.mask.max() == 0
    assert page.image.min() < 250
