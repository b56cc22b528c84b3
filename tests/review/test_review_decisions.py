"""What decisions say together, and what becomes of them on disk."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ecg_flare.digitize.corrections import NO_CORRECTIONS, DrawnLine, LeadName, Unreadable
from ecg_flare.errors import ConfigError, LayoutError, ReviewError
from ecg_flare.review.decisions import KINDS, Decision, before, check_kind, corrected, review_of
from ecg_flare.review.journal import DecidedMeanwhileError, journal_path, read_journal

VALUES: dict[str, Any] = {
    "turn": {"deg": 90},
    "corners": [[0.0, 0.0], [900.0, 5.0], [890.0, 600.0], [2.0, 590.0]],
    "ruler": {"first": [1.0, 2.0], "second": [101.0, 2.0], "mm": 10.0},
    "speed": 25.0,
    "gain": 5.0,
    "chest_gain": 10.0,
    "layout": "3x4",
    "rows": [[400.0, 100.0], [400.0, 200.0]],
    "names": [{"row": 0, "place": 1, "lead": "V1"}],
    "borders": [{"row": 0, "place": 1, "side": "left", "at": [300.0, 100.0]}],
    "line": {"row": 1, "points": [[1.0, 2.0], [3.0, 4.0]], "how": "drawn"},
    "unreadable": {"row": 2, "begin": [1.0, 2.0], "end": [3.0, 4.0]},
    "confirm": [[0, 0], [0, 1]],
}


def decision(what: str, value: Any = None) -> Decision:
    return Decision(what, value, "Dr. Lind", "2026-11-30T09:00:00+00:00")


def test_every_kind_but_those_about_others_has_a_value_here() -> None:
    assert set(KINDS) - set(VALUES) == {"undo", "redo", "again", "set_aside"}


@pytest.mark.parametrize("what", VALUES)
def test_undo_takes_any_decision_back_and_redo_makes_it_again(what: str) -> None:
    made = review_of([decision(what, VALUES[what])])
    assert made != review_of([])
    undone = review_of([decision(what, VALUES[what]), decision("undo")])
    assert (undone.corrections, undone.confirmed, undone.made) == (NO_CORRECTIONS, frozenset(), ())
    again = review_of([decision(what, VALUES[what]), decision("undo"), decision("redo")])
    assert (again.corrections, again.confirmed) == (made.corrections, made.confirmed)


def test_a_new_decision_ends_what_could_be_made_again() -> None:
    review = review_of([decision("gain", 5.0), decision("undo"), decision("speed", 50.0)])
    assert review.undone == ()
    with pytest.raises(ConfigError, match="nothing to redo"):
        check_kind("redo", None, review)


def test_names_of_one_place_follow_each_other_and_those_of_others_stay() -> None:
    first = [{"row": 0, "place": 0, "lead": "I"}, {"row": 0, "place": 1, "lead": "V1"}]
    second = [{"row": 0, "place": 1, "lead": "V2"}]
    found = review_of([decision("names", first), decision("names", second)]).corrections.names
    assert set(found) == {LeadName(0, 0, "I"), LeadName(0, 1, "V2")}


def test_lines_and_unreadable_stretches_keep_their_order() -> None:
    lines = review_of(
        [decision("unreadable", VALUES["unreadable"]), decision("line", VALUES["line"])]
    ).corrections.lines
    assert lines == (Unreadable(2, (1.0, 2.0), (3.0, 4.0)), DrawnLine(1, ((1.0, 2.0), (3.0, 4.0))))


def test_a_correction_after_a_confirmation_takes_it_back() -> None:
    assert review_of([decision("confirm", [[0, 0]]), decision("gain", 5.0)]).confirmed == frozenset()


def test_another_layout_forgets_names_and_borders() -> None:
    made = [decision("names", VALUES["names"]), decision("borders", VALUES["borders"]), decision("layout", "6x2")]
    found = review_of(made).corrections
    assert (found.layout, found.names, found.borders) == ("6x2", (), ())


def test_other_rows_forget_what_was_said_of_the_former_ones() -> None:
    before = [decision(what, VALUES[what]) for what in ("names", "borders", "line", "gain")]
    found = review_of([*before, decision("rows", VALUES["rows"])]).corrections
    assert (found.names, found.borders, found.lines, found.gain) == ((), (), (), 5.0)
    assert found.rows == ((400.0, 100.0), (400.0, 200.0))


def test_what_is_set_aside_is_gone_from_the_reading_and_not_from_the_list() -> None:
    made = [decision("gain", 5.0), decision("confirm", [[0, 0]]), decision("set_aside"), decision("speed", 50.0)]
    review = review_of(made)
    assert review.corrections.gain is None
    assert review.corrections.speed == 50.0
    assert review.made == (3,)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("turn", {"deg": 45}),
        ("turn", 90),
        ("turn", {"deg": 90, "more": 1}),
        ("corners", [[0, 0], [1, 1], [2, 2], [3, 3]]),
        ("corners", [[0, 0], [1, 0], [1, 1]]),
        ("ruler", {"first": [0, 0], "second": [9, 0], "mm": 0}),
        ("ruler", {"first": [0, 0], "mm": 5}),
        ("speed", 0),
        ("speed", "25"),
        ("speed", True),
        ("gain", 1e9),
        ("layout", 3),
        ("rows", []),
        ("rows", [[1, 2]] * 31),
        ("rows", [[1]]),
        ("names", []),
        ("names", [{"row": 0, "place": 0, "lead": "X"}]),
        ("names", [{"row": -1, "place": 0, "lead": "I"}]),
        ("borders", [{"row": 0, "place": 0, "side": "top", "at": [1, 2]}]),
        ("line", {"row": 0, "points": [[1, 2]]}),
        ("line", {"row": 0, "points": [[1, 2], [3, "4"]]}),
        ("line", {"row": 0, "points": [[1, 2], [3, 1e99]]}),
        ("unreadable", {"row": 0, "begin": [1, 2]}),
        ("no such", None),
        ("undo", None),
        ("redo", None),
        ("again", 1),
        ("confirm", [[0]]),
        ("confirm", [[0, -1]]),
        ("confirm", {}),
    ],
)
def test_what_cannot_be_is_refused(what: str, value: Any) -> None:
    with pytest.raises((ConfigError, LayoutError)):
        check_kind(what, value, review_of([]))


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(LayoutError):
        corrected(NO_CORRECTIONS, "layout", "4x4")


def test_what_stood_before_is_told() -> None:
    review = review_of([decision("gain", 5.0), decision("names", VALUES["names"]), decision("turn", {"deg": 180})])
    assert before(review.corrections, "gain") == 5.0
    assert before(review.corrections, "turn") == 180
    assert before(review.corrections, "names") == VALUES["names"]
    assert before(review.corrections, "speed") is None
    assert before(review.corrections, "line") is None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path, "page")


def test_a_journal_gives_back_what_was_decided(path: Path) -> None:
    journal = read_journal(path)
    for what, value in VALUES.items():
        journal = journal.append(decision(what, value), "sha", None)
    assert read_journal(path) == journal
    assert [each.value for each in journal.decisions] == list(VALUES.values())
    line = json.loads(path.read_text().splitlines()[4])
    assert line["entry"]["what"] == "gain" or line["entry"]["what"] == "speed"
    assert {"what", "value", "before", "who", "when", "why", "picture", "ecg_flare"} == set(line["entry"])


@pytest.mark.parametrize("number", range(3))
def test_a_journal_that_was_changed_is_not_trusted(path: Path, number: int) -> None:
    journal = read_journal(path)
    for gain in (5.0, 10.0, 20.0):
        journal = journal.append(decision("gain", gain), "sha", None)
    lines = path.read_text().splitlines()
    lines[number] = lines[number].replace("Dr. Lind", "Dr. Wind")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ReviewError, match=f"line {number + 1}"):
        read_journal(path)


def test_a_journal_that_lost_its_last_decision_is_not_trusted(path: Path) -> None:
    journal = read_journal(path)
    for gain in (5.0, 10.0):
        journal = journal.append(decision("gain", gain), "sha", None)
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(ReviewError, match="line 2"):
        read_journal(path)


def test_a_line_that_a_crash_cut_off_is_no_decision_and_loses_none(path: Path) -> None:
    journal = read_journal(path).append(decision("gain", 5.0), "sha", None)
    with path.open("a") as file:
        file.write('{"entry": {"what": "spe')
    assert read_journal(path).decisions == journal.decisions
    journal = read_journal(path).append(decision("speed", 50.0), "sha", None)
    assert [each.what for each in read_journal(path).decisions] == ["gain", "speed"]


def test_two_reviewers_at_once_lose_nothing(path: Path) -> None:
    one = two = read_journal(path)
    one = one.append(decision("gain", 5.0), "sha", None)
    with pytest.raises(DecidedMeanwhileError, match="1 decisions, not 0"):
        two.append(decision("gain", 20.0), "sha", None)
    two = read_journal(path).append(decision("speed", 50.0), "sha", None)
    assert [each.what for each in two.decisions] == ["gain", "speed"]


def test_a_journal_copied_to_another_folder_is_still_one(path: Path, tmp_path: Path) -> None:
    read_journal(path).append(decision("gain", 5.0), "sha", None)
    other = tmp_path / "other"
    shutil.copytree(path.parent, other, ignore=shutil.ignore_patterns("other"))
    assert read_journal(other / path.name).decisions[0].value == 5.0
