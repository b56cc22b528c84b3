"""Labels in other colours than the trace, found on a grid of any colour."""

import numpy as np
import pytest

from ecg_flare.digitize import digitize
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.leads.coloured_labels import ENOUGH_NAMES, read_labels
from ecg_flare.digitize.leads.labels import MIN_FIT, Word
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.grid import draw_paper
from ecg_flare.page.lettering import Text, draw_texts
from ecg_flare.page.raster import Label
from ecg_flare.page.render import render_page
from ecg_flare.page.style import GridColour, GridStyle, PageStyle, PrintStyle

DPI = 150.0
SCALE = PxPerMm(DPI / 25.4, DPI / 25.4)
SHAPE = (480, 720)
PLACES = {"I": (6.0, 20.0), "aVR": (36.0, 20.0), "V1": (66.0, 20.0), "V4": (96.0, 20.0), "aVL": (36.0, 50.0)}


def paper_with_labels(rgb: tuple[int, int, int], grid: GridColour = "red") -> np.ndarray:
    image = draw_paper(PageStyle(dpi=DPI, grid=GridStyle(colour=grid)), SHAPE)
    texts = [Text(name, x, y, 3.2) for name, (x, y) in PLACES.items()]
    cover = draw_texts(texts, "sans", (SCALE.x, SCALE.y), SHAPE)[0].astype(np.float32)[..., None] / 255
    return np.rint(image + cover * (np.array(rgb, np.float32) - image)).astype(np.uint8)


def names_at_their_places(words: tuple[Word, ...]) -> set[str]:
    found = set()
    for word in words:
        x, y = PLACES.get(word.best, (np.nan, np.nan))
        at_home = abs(word.left / SCALE.x - x) < 1.0 and abs(word.bottom / SCALE.y - y) < 1.0
        if at_home and word.fits.max() > MIN_FIT:
            found.add(word.best)
    return found


def nothing_known() -> tuple[np.ndarray, np.ndarray]:
    """No ink of the trace's colour, and a segmenter that saw none."""
    return np.zeros(SHAPE, np.float32), np.zeros((len(Label), *SHAPE), np.float32)


@pytest.mark.parametrize("grid", ["red", "blue", "grey"])
@pytest.mark.parametrize("rgb", [(200, 20, 20), (20, 60, 200), (0, 130, 60), (230, 140, 40), (120, 120, 120)])
def test_a_label_of_any_colour_is_read_on_a_grid_of_any_colour(rgb: tuple[int, int, int], grid: GridColour) -> None:
    ink, probabilities = nothing_known()
    words = read_labels(paper_with_labels(rgb, grid), ink, probabilities, (), SCALE)
    assert names_at_their_places(words) == set(PLACES)


def test_an_empty_grid_has_no_label() -> None:
    ink, probabilities = nothing_known()
    empty = draw_paper(PageStyle(dpi=DPI, grid=GridStyle(colour="red")), SHAPE)
    assert not [word for word in read_labels(empty, ink, probabilities, (), SCALE) if word.fits.max() > MIN_FIT]


def test_what_a_row_runs_through_is_no_label() -> None:
    ink, probabilities = nothing_known()
    page = np.full(SHAPE[1], np.nan)
    row = RowTrace(np.zeros_like(page), np.zeros_like(page), np.full_like(page, SHAPE[0] - 1), 0.0, np.zeros(720, bool))
    assert read_labels(paper_with_labels((200, 20, 20)), ink, probabilities, (row,), SCALE) == ()


def test_labels_in_the_traces_colour_that_are_enough_end_the_search() -> None:
    names = ("V1", "V2", "V3", "V4", "V5")
    assert len(names) > ENOUGH_NAMES
    texts = [Text(name, 6.0 + 14.0 * k, 70.0, 3.2) for k, name in enumerate(names)]
    sheet = draw_texts(texts, "sans", (SCALE.x, SCALE.y), SHAPE)[0].astype(np.float32) / 255
    _, probabilities = nothing_known()
    probabilities[Label.PRINT] = sheet > 0
    words = read_labels(paper_with_labels((200, 20, 20)), sheet, probabilities, (), SCALE)
    assert names_at_their_places(words) == set()
    assert {word.best for word in words} == set(names)


def test_a_viewers_page_with_spaced_red_labels_is_confident() -> None:
    text = PrintStyle(label_colour="red", label_spacing_mm=1.0, header=False)
    style = PageStyle(layout="6x2", dpi=110.0, grid=GridStyle(colour="red"), text=text)
    rng = np.random.default_rng(5)
    result = digitize(render_page(synthesize(rng), style, rng).image, segmenter="classical")
    assert result.layout == "6x2"
    assert result.layout_confidence > CONFIDENT
