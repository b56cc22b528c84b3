from itertools import pairwise

import pytest

from ecg_flare.ecg.leads import CABRERA, LEADS
from ecg_flare.errors import LayoutError
from ecg_flare.page.layout import layout_names, load_layout, parse_layout

STANDARD_ROWS = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]]
LEADS_BY_ROW = {
    "3x4": STANDARD_ROWS,
    "3x4+1R": [*STANDARD_ROWS, ["II"]],
    "3x4+2R": [*STANDARD_ROWS, ["II"], ["V1"]],
    "3x4+3R": [*STANDARD_ROWS, ["V1"], ["II"], ["V5"]],
    "3x4-cabrera": [["aVL", "II", "V1", "V4"], ["I", "aVF", "V2", "V5"], ["aVR", "III", "V3", "V6"]],
    "3x4-cabrera+1R": [["aVL", "II", "V1", "V4"], ["I", "aVF", "V2", "V5"], ["aVR", "III", "V3", "V6"], ["II"]],
    "6x2": [[limb, f"V{row}"] for row, limb in enumerate(LEADS[:6], 1)],
    "6x2+1R": [*([limb, f"V{row}"] for row, limb in enumerate(LEADS[:6], 1)), ["II"]],
    "12x1": [[lead] for lead in LEADS],
}


def test_every_layout_is_listed() -> None:
    assert set(layout_names()) == set(LEADS_BY_ROW)


@pytest.mark.parametrize("name", LEADS_BY_ROW)
def test_leads_stand_where_the_layout_says(name: str) -> None:
    layout = load_layout(name)
    assert [[segment.lead for segment in row] for row in layout.rows] == LEADS_BY_ROW[name]
    assert {segment.lead for row in layout.rows for segment in row} == set(LEADS)


@pytest.mark.parametrize("name", LEADS_BY_ROW)
def test_rows_are_full_and_follow_on(name: str) -> None:
    layout = load_layout(name)
    assert layout.duration_s == 10
    for row in layout.rows:
        assert row[0].start_s == 0
        assert sum(segment.duration_s for segment in row) == 10
        for before, after in pairwise(row):
            assert after.start_s == before.start_s + before.duration_s


@pytest.mark.parametrize(("name", "rows"), [("3x4", ()), ("3x4+1R", (3,)), ("3x4+3R", (3, 4, 5)), ("6x2+1R", (6,))])
def test_rhythm_rows(name: str, rows: tuple[int, ...]) -> None:
    assert load_layout(name).rhythm_rows == rows


def test_cabrera_goes_down_the_columns_with_avr_upside_down() -> None:
    layout = load_layout("3x4-cabrera")
    by_column = [layout.rows[row][column] for column in range(4) for row in range(3)]
    assert tuple(segment.lead for segment in by_column) == CABRERA
    assert [segment.lead for segment in by_column if segment.inverted] == ["aVR"]


def test_an_unknown_layout_is_named_with_those_there_are() -> None:
    with pytest.raises(LayoutError, match=r"Unknown layout '4x4'; expected one of .*12x1"):
        load_layout("4x4")


@pytest.mark.parametrize("name", ["../layout", "/etc/passwd", ""])
def test_a_path_is_no_layout_name(name: str) -> None:
    with pytest.raises(LayoutError, match="Unknown layout"):
        load_layout(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [[", "not YAML"),
        ("- 1", "expected one key, 'rows'"),
        ("rows: []", "expected one key, 'rows'"),
        ("rows: [[]]", "row 1: expected a list of segments"),
        ("rows: [[{lead: I}]]", "row 1: a segment needs 'lead' and 'duration_s'"),
        ("rows: [[{lead: I, duration_s: 1, color: 2}]]", "'color': 2"),
        ("rows: [[{lead: V7, duration_s: 1}]]", "row 1: unknown lead 'V7'"),
        ("rows: [[{lead: I, duration_s: 0}]]", "duration_s over 0, found 0.0 and 0.0"),
        ("rows: [[{lead: I, duration_s: 1, start_s: -2}]]", "found -2.0 and 1.0"),
        ("rows: [[{lead: I, duration_s: ten}]]", "duration_s must be a number of seconds, found 'ten'"),
        ("rows: [[{lead: I, duration_s: .nan}]]", "duration_s must be a number of seconds, found nan"),
        ("rows: [[{lead: I, duration_s: true}]]", "duration_s must be a number of seconds, found True"),
        ("rows: [[{lead: I, duration_s: 1, rhythm: 1}]]", "rhythm must be true or false, found 1"),
        ("rows: [[{lead: I, duration_s: 1, rhythm: true}, {lead: II, duration_s: 1}]]", "as a whole or not at all"),
        ("rows: [[{lead: I, duration_s: 1}]]", "every page shows twelve leads; II, III"),
    ],
)
def test_bad_layouts_are_refused_by_file_and_value(text: str, message: str) -> None:
    with pytest.raises(LayoutError, match=r"mine\.yaml") as caught:
        parse_layout(text, "mine.yaml", "mine")
    assert message in str(caught.value)
