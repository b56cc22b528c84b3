from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from ecg_flare.ecg.leads import CABRERA, LEADS
from ecg_flare.errors import LayoutError
from ecg_flare.page.layout import layout_names, load_layout, packaged_layout, parse_layout

STANDARD_ROWS = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]]
FIFTEEN_ROWS = [[*row, extra] for row, extra in zip(STANDARD_ROWS, ("V4R", "V8", "V9"), strict=True)]
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
    "12x1-cabrera": [[lead] for lead in CABRERA],
    "6x1-limb": [[lead] for lead in LEADS[:6]],
    "6x1-cabrera": [[lead] for lead in CABRERA[:6]],
    "6x1-chest": [[lead] for lead in LEADS[6:]],
    "3x5": FIFTEEN_ROWS,
    "3x5+1R": [*FIFTEEN_ROWS, ["II"]],
    "15x1": [[lead] for lead in (*LEADS, "V4R", "V8", "V9")],
    "3x1": [["I"], ["II"], ["III"]],
    "1x1": [["II"]],
}


def test_every_layout_is_listed() -> None:
    assert set(layout_names()) == set(LEADS_BY_ROW)


@pytest.mark.parametrize("name", LEADS_BY_ROW)
def test_leads_stand_where_the_layout_says(name: str) -> None:
    layout = load_layout(name)
    assert [[segment.lead for segment in row] for row in layout.rows] == LEADS_BY_ROW[name]
    assert [segment.lead for row in layout.rows for segment in row if segment.inverted] == (
        ["aVR"] if "cabrera" in name else []
    )


@pytest.mark.parametrize("name", LEADS_BY_ROW)
def test_rows_are_full_and_follow_on(name: str) -> None:
    layout = load_layout(name)
    assert layout.duration_s == 10
    for row in layout.rows:
        assert row[0].start_s == 0
        assert sum(segment.duration_s for segment in row) == 10
        for before, after in pairwise(row):
            assert after.start_s == before.start_s + before.duration_s


@pytest.mark.parametrize(
    ("name", "rows"), [("3x4", ()), ("3x4+1R", (3,)), ("3x4+3R", (3, 4, 5)), ("6x2+1R", (6,)), ("3x1", (0, 1, 2))]
)
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


@pytest.mark.parametrize("name", ["../layout", "/etc/passwd", "", "3x4.yam"])
def test_what_is_no_yaml_file_is_a_name(name: str) -> None:
    with pytest.raises(LayoutError, match="Unknown layout"):
        load_layout(name)


def test_the_digitizer_takes_names_alone() -> None:
    with pytest.raises(LayoutError, match=r"Unknown layout 'mine\.yaml'"):
        packaged_layout("mine.yaml")


@pytest.mark.parametrize(
    ("rows", "leads"),
    [
        ([["I"], ["II"], ["III"], ["aVR"], ["aVL"], ["aVF"]], LEADS[:6]),
        ([["I", "aVR"], ["II", "aVL"], ["III", "aVF"]], LEADS[:6]),
        ([["V1", "V4"], ["V2", "V5"], ["V3", "V6"]], LEADS[6:]),
        ([["V5"], ["II"], ["V1"]], ("II", "V1", "V5")),
        ([["II"]], ("II",)),
    ],
)
def test_a_file_may_show_fewer_than_twelve_leads(tmp_path: Path, rows: list[list[str]], leads: tuple[str, ...]) -> None:
    file = tmp_path / "ours.yml"
    file.write_text(yaml.safe_dump({"rows": [[{"lead": lead, "duration_s": 5} for lead in row] for row in rows]}))
    layout = load_layout(str(file))
    assert (layout.name, layout.leads) == ("ours", leads)
    assert [[segment.lead for segment in row] for row in layout.rows] == rows


def test_a_rhythm_strip_may_repeat_a_lead_and_stand_alone() -> None:
    strip = "[{lead: II, duration_s: 10, rhythm: true}]"
    assert parse_layout(f"rows: [[{{lead: II, duration_s: 10}}], {strip}, {strip}]", "x", "x").rhythm_rows == (1, 2)
    assert parse_layout(f"rows: [{strip}]", "x", "x").leads == ("II",)


def test_a_lead_may_go_on_in_the_next_row() -> None:
    rows = [[{"lead": "I", "start_s": start_s, "duration_s": 10}] for start_s in (0, 10, 20)]
    layout = parse_layout(yaml.safe_dump({"rows": rows}), "x", "x")
    assert layout.leads == ("I",)
    assert [row[0].start_s for row in layout.rows] == [0, 10, 20]


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    for lead in ("I", "V6"):
        file.write_text(f"rows: [[{{lead: {lead}, duration_s: 10}}]]")
        assert load_layout(str(file)).leads == (lead,)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path / "\0.yaml"):
        with pytest.raises(LayoutError, match=r"\.yaml cannot be read"):
            load_layout(str(path))


def test_a_file_cannot_pass_for_a_layout_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "12x1.yaml").write_text("rows: [[{lead: I, duration_s: 10}]]")
    with pytest.raises(LayoutError, match=r"'12x1' is a layout of the package; give the file another name"):
        load_layout(str(tmp_path / "12x1.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [[", "not YAML"),
        ("- 1", "expected one key, 'rows'"),
        ("rows: []", "expected one key, 'rows'"),
        ("rows: [[]]", "row 1: expected a list of segments"),
        ("rows: [[{lead: I}]]", "row 1: a segment needs 'lead' and 'duration_s'"),
        ("rows: [[{lead: I, duration_s: 1, color: 2}]]", "'color': 2"),
        ("rows: [[{lead: V10, duration_s: 1}]]", "row 1: unknown lead 'V10'"),
        ("rows: [[{lead: I, duration_s: 0}]]", "duration_s over 0, found 0.0 and 0.0"),
        ("rows: [[{lead: I, duration_s: 1, start_s: -2}]]", "found -2.0 and 1.0"),
        ("rows: [[{lead: I, duration_s: ten}]]", "duration_s must be a number of seconds, found 'ten'"),
        ("rows: [[{lead: I, duration_s: .nan}]]", "duration_s must be a number of seconds, found nan"),
        ("rows: [[{lead: I, duration_s: true}]]", "duration_s must be a number of seconds, found True"),
        ("rows: [[{lead: I, duration_s: 1, rhythm: 1}]]", "rhythm must be true or false, found 1"),
        ("rows: [[{lead: I, duration_s: 1, rhythm: true}, {lead: II, duration_s: 1}]]", "as a whole or not at all"),
        (
            "rows: [[{lead: I, duration_s: 1}, {lead: I, start_s: 0.9, duration_s: 1}]]",
            "lead I stands in it twice at the same time; only a rhythm strip (rhythm: true) repeats a lead",
        ),
        ("rows: [[{lead: V1, duration_s: 1}], [{lead: II, duration_s: 1}], [{lead: V1, duration_s: 1}]]", "lead V1"),
        (f"rows: [{'[{lead: I, duration_s: 1, rhythm: true}], ' * 49}]", "at most 48 rows; found 49"),
        (f"rows: [[{'{lead: I, duration_s: 1, rhythm: true}, ' * 49}]]", "row 1: a row has at most 48 segments; found"),
    ],
)
def test_bad_layouts_are_refused_by_file_and_value(text: str, message: str) -> None:
    with pytest.raises(LayoutError, match=r"mine\.yaml") as caught:
        parse_layout(text, "mine.yaml", "mine")
    assert message in str(caught.value)
