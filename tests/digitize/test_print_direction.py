"""The print of rendered pages stands the way it was printed, in every typeface and turned by every quarter."""

import numpy as np
import pytest

from ecg_flare.digitize.print_direction import UNKNOWN, neighbour_axes, read_direction, upright_lead
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.lettering import Text, draw_texts
from ecg_flare.page.render import render_page
from ecg_flare.page.style import FontName, GridStyle, PageStyle, PrintStyle

DPI = 130.0
UNIT = PxPerMm(DPI / 25.4, DPI / 25.4)


def strip(font: FontName, **style: object) -> np.ndarray:
    """A strip of three rows as an ambulance prints it: wide and flat, print on top, no pulse."""
    rng = np.random.default_rng(3)
    text = PrintStyle(font=font)
    return render_page(
        synthesize(rng),
        PageStyle(layout="3x4", paper="chart", pulse="none", dpi=DPI, text=text, **style),  # type: ignore[arg-type]
        rng,
    ).image


@pytest.mark.parametrize("font", ["sans", "serif", "serif-bold", "mono"])
def test_the_print_says_which_way_is_up(font: FontName) -> None:
    page = strip(font)
    for quarter_turns in range(4):
        handed_in = np.ascontiguousarray(np.rot90(page, quarter_turns))
        assert read_direction(handed_in, UNIT).settled == -quarter_turns % 4


def test_a_grid_as_grey_as_the_print_leaves_the_right_axis() -> None:
    page = strip("sans", grid=GridStyle(colour="grey"))
    assert 0 in read_direction(page, UNIT).quarter_turns
    assert set(read_direction(page, UNIT).quarter_turns) <= {0, 2}
    assert set(read_direction(np.ascontiguousarray(np.rot90(page)), UNIT).quarter_turns) <= {1, 3}


def test_a_page_without_print_says_nothing() -> None:
    blank = np.full((600, 900, 3), 255, np.uint8)
    assert read_direction(blank, UNIT) == UNKNOWN
    assert UNKNOWN.settled is None


def test_a_neighbour_stands_along_the_axis_of_its_line() -> None:
    # two lines of three letters of 10 x 20 pixels: 3 apart in the line, 12 from line to line
    line = [[10 + 13 * k, 10, 20 + 13 * k, 30] for k in range(3)]
    boxes = np.array([*line, *([left, 42, right, 62] for left, _, right, _ in line)])
    np.testing.assert_array_equal(neighbour_axes(boxes), [0] * 6)
    np.testing.assert_array_equal(neighbour_axes(boxes[:, [1, 0, 3, 2]]), [1] * 6)
    np.testing.assert_array_equal(neighbour_axes(boxes[:1]), [-1])


def test_letters_fit_the_other_way_round_by_as_much() -> None:
    letters = []
    for letter in "VFaR25":
        sheet = draw_texts([Text(letter, 4.0, 12.0, 8.0)], "serif-bold", (4.0, 4.0), (72, 72))[0] / np.float32(255)
        rows, columns = (np.flatnonzero((sheet > 0.25).any(axis=axis)) for axis in (1, 0))
        letters.append(sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    lead = upright_lead(letters)
    hanging = upright_lead([np.ascontiguousarray(letter[::-1, ::-1]) for letter in letters])
    assert lead.mean() > 0.05
    np.testing.assert_allclose(hanging, -lead, atol=1e-3)
