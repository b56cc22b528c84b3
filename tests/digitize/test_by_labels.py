"""Rows that no layout has: what labels beside them name, and how little that is worth."""

from pathlib import Path

import numpy as np
import pytest
from rasters import raster, word

from ecg_flare.digitize.leads.by_labels import assign_by_labels
from ecg_flare.digitize.leads.find import find_leads
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.errors import PageError


def test_each_label_names_its_row_up_to_the_next_one() -> None:
    """Two rows of 8 s at 10 px/mm and 25 mm/s; a label in the middle begins a millimetre before itself."""
    words = (word("V1", 20.0, 0), word("V4", 1010.0, 0), word("II", 20.0, 1))
    found = assign_by_labels(LabelledRows(raster(np.zeros((2, 2000))), words, 25.0))
    assert [(span.lead, span.row, span.left_px, span.right_px) for span in found.spans] == [
        ("V1", 0, 0.0, 1000.0),
        ("V4", 0, 1000.0, 2000.0),
        ("II", 1, 0.0, 2000.0),
    ]
    assert [(span.start_s, span.end_s) for span in found.spans] == [(0.0, 4.0), (4.0, 8.0), (0.0, 8.0)]
    assert found.confidence == pytest.approx(0.4)
    assert "2 rows" in found.warnings[0]
    assert "3 stretches" in found.warnings[0]


def test_rows_without_a_name_lower_the_confidence_and_the_longest_stretch_of_a_lead_is_kept() -> None:
    words = (word("V1", 20.0, 0), word("V1", 1010.0, 2))
    found = assign_by_labels(LabelledRows(raster(np.zeros((5, 2000))), words, 25.0))
    assert [(span.lead, span.row) for span in found.spans] == [("V1", 0)]
    assert found.confidence == pytest.approx(0.4 * 2 / 5)


def test_a_row_of_letters_is_no_row() -> None:
    y_mm = np.zeros((2, 2000))
    y_mm[0, ::2] = np.nan
    words = (word("V1", 20.0, 0), word("II", 20.0, 1))
    found = assign_by_labels(LabelledRows(raster(y_mm), words, 25.0))
    assert [span.lead for span in found.spans] == ["II"]


def test_what_has_no_name_is_refused() -> None:
    page = LabelledRows(raster(np.zeros((2, 2000))), (), 25.0)
    with pytest.raises(PageError, match="Found 2 rows, which no layout has"):
        find_leads(page, "auto")
    with pytest.raises(PageError, match="Layout 12x1 has 12 rows, but 2"):
        find_leads(page, "12x1")


def going_on(rows: int, samples: int, *, together: bool) -> np.ndarray:
    """Rows of one lead, cut from a strip of irregular beats, or every row with its beats at the same places."""
    rng = np.random.default_rng(9)
    x = np.arange(rows * samples)
    places = np.cumsum(rng.uniform(180, 280, size=rows * samples // 180))
    strip = np.sum(
        [8 * np.exp(-(((x - p) / 3.0) ** 2)) + 2 * np.exp(-(((x - p - 60) / 15.0) ** 2)) for p in places], axis=0
    )
    cut = strip.reshape(rows, samples)
    return np.stack([cut[0]] * rows) if together else cut


@pytest.mark.parametrize("labelled", [(0,), (0, 1, 2)])
def test_rows_of_one_lead_go_on_in_time(labelled: tuple[int, ...]) -> None:
    """Three rows of 10 s, as a watch prints them; the first label says the lead."""
    words = tuple(word("II", 20.0, row) for row in labelled)
    found = find_leads(LabelledRows(raster(going_on(3, 2500, together=False)), words, 25.0), "auto")
    assert [(span.lead, span.row, span.start_s, span.end_s) for span in found.spans] == [
        ("II", row, 10.0 * row, 10.0 * (row + 1)) for row in range(3)
    ]
    assert found.confidence == pytest.approx(0.4)
    assert "one lead that goes on from row to row, II by its label" in found.warnings[0]


ONE_LEAD = f"rows: [{', '.join(f'[{{lead: II, duration_s: 8, start_s: {start}}}]' for start in (0, 8, 16))}]"


def test_a_layout_of_one_lead_that_goes_on_is_believed_where_its_beats_are_alike(tmp_path: Path) -> None:
    """Rows of other times beat apart: that is no doubt of this layout, while beats of another form are."""
    file = tmp_path / "ours.yaml"
    file.write_text(ONE_LEAD)
    y_mm = going_on(3, 2000, together=False)
    found = find_leads(LabelledRows(raster(y_mm), (), 25.0), str(file))
    assert [(span.start_s, span.end_s) for span in found.spans] == [(0.0, 8.0), (8.0, 16.0), (16.0, 24.0)]
    assert (found.confidence, found.warnings) == (0.9, ())
    y_mm[1] = -y_mm[1][::-1]
    doubted = find_leads(LabelledRows(raster(y_mm), (), 25.0), str(file))
    assert doubted.confidence < 0.5
    assert "the beats of a row change where one lead should go on" in doubted.warnings[0]


def test_one_lead_without_a_label_is_refused_and_never_twelve() -> None:
    for rows in (3, 4, 6, 12):
        page = LabelledRows(raster(going_on(rows, 2000, together=False)), (), 25.0)
        with pytest.raises(PageError, match=f"Found {rows} rows that do not beat at the same times"):
            find_leads(page, "auto")


def test_rows_that_beat_together_are_no_lead_that_goes_on() -> None:
    words = (word("II", 20.0, 0),)
    found = assign_by_labels(LabelledRows(raster(going_on(2, 2000, together=True)), words, 25.0))
    assert [(span.lead, span.row) for span in found.spans] == [("II", 0)]
