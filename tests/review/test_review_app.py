"""The app through its addresses: what each decision does to the page, to the recording, and to the files."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from review_apps import OPTIONS, App, open_app

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.ecg.record import read_wfdb
from ecg_flare.errors import StorageError
from ecg_flare.review.journal import journal_path, read_journal


def lead_of(page: dict[str, Any], row: int, place: int) -> dict[str, Any]:
    return next(lead for lead in page["leads"] if (lead["row"], lead["place"]) == (row, place))


def samples(page: dict[str, Any], row: int, place: int) -> np.ndarray:
    return np.array(lead_of(page, row, place)["samples_uv"], float)


def test_the_list_has_the_worst_page_first_and_pages_that_were_not_read_before_it(app: App, root: Path) -> None:
    cv2.imwrite(str(root / "scans" / "blank.png"), np.full((400, 600, 3), 255, np.uint8))
    report = json.loads((root / "read" / "page.json").read_text())
    (root / "read" / "worse.json").write_text(json.dumps({**report, "name": "worse", "confidence": 0.1}))
    (root / "read" / "other.json").write_text('{"somebody": "else"}')
    listed = app.get("/api/pages").json()
    assert [page["name"] for page in listed["pages"]] == ["blank", "worse", "page"]
    assert listed["pages"][0]["confidence"] is None
    assert listed["reviewer"] == "Dr. Lind"
    blank = app.page("blank")
    assert "blank" in blank["error"]
    assert blank["leads"] == []


def test_a_decision_is_on_disk_before_its_effect_is_shown_and_survives_a_crash(app: App, root: Path) -> None:
    page = app.page()
    gain = page["calibration"]["gain"]
    decided = app.decide("gain", 2 * gain, head=page["head"], why="the pulse is 20 mm high")
    assert np.allclose(samples(decided, 0, 0), samples(page, 0, 0) / 2, atol=1.0, equal_nan=True)
    [on_disk] = read_journal(journal_path(root / "read", "page")).decisions
    assert (on_disk.what, on_disk.value, on_disk.who, on_disk.why) == (
        "gain",
        2 * gain,
        "Dr. Lind",
        "the pulse is 20 mm high",
    )
    assert json.loads((root / "read" / "page.json").read_text())["calibration"]["gain_mm_per_mv"] == gain
    later = open_app(root)  # the app died before it saved
    again = later.page()
    assert (again["offered"], again["saved"], again["calibration"]["gain"]) == ("", False, 2 * gain)
    assert again["history"][0]["says"] == f"gain {2 * gain:g} mm/mV"
    assert later.post("/api/pages/page/save", {}).json()["saved"]
    assert json.loads((root / "read" / "page.json").read_text())["calibration"]["gain_mm_per_mv"] == 2 * gain


def test_the_files_follow_what_was_decided(app: App, root: Path) -> None:
    page = app.page()
    decided = app.decide("gain", 2 * page["calibration"]["gain"], head=page["head"])
    before = read_wfdb(root / "read" / "page")
    assert app.post("/api/pages/page/save", {}).json() == {"saved": True, "unsaved": "", "withheld": ""}
    after = read_wfdb(root / "read" / "page")
    assert np.nanstd(after.lead("V3")) == pytest.approx(np.nanstd(before.lead("V3")) / 2, rel=0.01)
    report = json.loads((root / "read" / "page.json").read_text())
    assert report["review"]["head"] == decided["head"]
    assert report["calibration"]["gain_source"] == "given"
    assert report["recording"]["status"] == "written"


def test_undo_and_redo_reach_the_recording_and_a_reload_shows_the_same(app: App, root: Path) -> None:
    page = app.page()
    other = 2 * page["calibration"]["gain"]
    decided = app.decide("gain", other, head=page["head"])
    undone = app.decide("undo", None, head=decided["head"])
    assert undone["calibration"]["gain_source"] == "measured"
    assert np.array_equal(samples(undone, 1, 2), samples(page, 1, 2), equal_nan=True)
    redone = app.decide("redo", None, head=undone["head"])
    assert redone["calibration"]["gain"] == other
    app.post("/api/pages/page/save", {})
    reloaded = open_app(root).page()
    assert not reloaded["offered"]
    assert reloaded["calibration"]["gain"] == other
    assert reloaded["can_undo"]
    again = open_app(root)
    assert again.decide("undo", None, head=again.page()["head"])["calibration"]["gain_source"] == "measured"


def test_places_go_to_the_picture_and_back(app: App, root: Path) -> None:
    page = app.page()
    lead = lead_of(page, 1, 1)
    middle = (lead["left"] + lead["right"]) / 2
    value = {"row": 1, "begin": [middle, 10.0], "end": [middle + 20.0, 10.0]}
    decided = app.decide("unreadable", value, head=page["head"])
    lost = np.flatnonzero(np.isnan(samples(decided, 1, 1)))
    rate = (lead["end_s"] - lead["start_s"]) / (lead["right"] - lead["left"]) * page["fs_hz"]
    assert lost[0] == pytest.approx((middle - lead["left"]) * rate, abs=3)
    assert len(lost) == pytest.approx(20 * rate, abs=4)
    assert lead_of(decided, 1, 1)["gaps"] == 1


def test_a_line_that_the_tracer_followed_can_be_decided(app: App) -> None:
    page = app.page()
    lead = lead_of(page, 1, 1)
    line = np.concatenate(page["rows"][1]["line"])
    inside = line[(line[:, 0] > lead["left"] + 10) & (line[:, 0] < lead["right"] - 10)]
    answer = app.post("/api/pages/page/follow", {"points": [inside[0].tolist(), inside[-1].tolist()]})
    assert answer.status_code == 200, answer.text
    points = answer.json()["points"]
    assert points[0][0] == pytest.approx(inside[0, 0], abs=1.0)
    value = {"row": 1, "points": points, "how": "followed"}
    decided = app.decide("line", value, head=page["head"])
    change = samples(decided, 1, 1) - samples(page, 1, 1)
    assert np.nanstd(change) < 0.1 * np.nanstd(samples(page, 1, 1))


def test_a_confirmed_page_says_so_in_its_report_and_in_the_list(app: App, root: Path) -> None:
    page = app.page()
    everything = [[lead["row"], lead["place"]] for lead in page["leads"]]
    part = app.decide("confirm", everything[:3], head=page["head"])
    assert not part["confirmed"]
    assert [lead["confirmed"] for lead in part["leads"]].count(True) == 3
    whole = app.decide("confirm", everything, head=part["head"])
    assert whole["confirmed"]
    app.post("/api/pages/page/save", {})
    report = json.loads((root / "read" / "page.json").read_text())
    assert report["review"]["whole_page"]
    assert len(report["review"]["confirmed"]) == len(everything)
    assert app.get("/api/pages").json()["pages"][0]["confirmed"]


def test_who_looks_at_an_older_page_is_told_and_loses_nothing(app: App, root: Path) -> None:
    other = open_app(root, "Dr. Marin")
    mine, theirs = app.page(), other.page()
    other.decide("speed", 50.0, head=theirs["head"])
    body = {"what": "gain", "value": 5.0, "head": mine["head"]}
    refused = app.post("/api/pages/page/decisions", body)
    assert refused.status_code == 409
    assert "Dr. Marin decided" in refused.json()["error"]
    now = app.page()
    assert now["calibration"]["speed"] == 50.0
    both = app.decide("gain", 5.0, head=now["head"])
    assert (both["calibration"]["speed"], both["calibration"]["gain"]) == (50.0, 5.0)
    assert [each["who"] for each in both["history"]] == ["Dr. Marin", "Dr. Lind"]


@pytest.mark.parametrize(
    ("field", "value"), [("layout", "3x4"), ("confidence", None), ("warnings", 3), ("review", []), ("recording", {})]
)
def test_a_damaged_report_is_listed_as_such_and_takes_no_other_page_with_it(
    root: Path, field: str, value: object
) -> None:
    report = json.loads((root / "read" / "page.json").read_text())
    (root / "read" / "broken.json").write_text(json.dumps({**report, field: value}))
    pages = {page["name"]: page for page in open_app(root).get("/api/pages").json()["pages"]}
    assert "damaged" in pages["broken"]["problem"]
    assert field in pages["broken"]["problem"]
    assert pages["page"]["problem"] == ""


def test_a_late_save_does_not_overwrite_what_another_reviewer_wrote_since(app: App, root: Path) -> None:
    other = open_app(root, "Dr. Marin")
    app.decide("gain", 5.0, head=app.page()["head"])
    theirs = other.page()
    assert theirs["calibration"]["gain"] == 5.0
    decided = other.decide("speed", 50.0, head=theirs["head"])
    other.post("/api/pages/page/save", {})
    written = (root / "read" / "page.json").read_bytes()
    assert app.post("/api/pages/page/save", {}).json() == {"saved": True, "unsaved": "", "withheld": ""}
    assert (root / "read" / "page.json").read_bytes() == written
    report = json.loads(written)
    assert report["review"]["head"] == decided["head"]
    assert (report["calibration"]["speed_mm_per_s"], report["calibration"]["gain_mm_per_mv"]) == (50.0, 5.0)


def test_an_offer_that_another_reviewer_took_is_an_offer_no_more(app: App, root: Path) -> None:
    app.decide("gain", 5.0, head=app.page()["head"])
    run_batch([root / "scans"], root / "read", OPTIONS, progress=False)
    mine, theirs = open_app(root), open_app(root, "Dr. Marin")
    assert mine.page()["offered"]
    theirs.decide("again", None, head=theirs.page()["head"])
    theirs.decide("speed", 50.0, head=theirs.page()["head"])
    now = mine.page()
    assert now["offered"] == ""
    assert (now["calibration"]["speed"], now["calibration"]["gain"]) == (50.0, 5.0)


def test_large_pages_are_not_kept_open_beside_the_one_that_is_shown(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "scans" / "second.png").write_bytes((root / "scans" / "page.png").read_bytes())
    app.page()
    app.page("second")
    assert list(app.desk._open) == ["page", "second"]
    app.decide("gain", 5.0, head=app.page()["head"])
    monkeypatch.setattr("ecg_flare.review.desk.MAX_OPEN_PX", 1000)
    app.page("second")
    assert list(app.desk._open) == ["second"]
    assert json.loads((root / "read" / "page.json").read_text())["calibration"]["gain_mm_per_mv"] == 5.0


def test_a_page_that_is_read_again_keeps_its_corrections_and_offers_them(app: App, root: Path) -> None:
    page = app.page()
    app.decide("gain", 5.0, head=page["head"])
    app.post("/api/pages/page/save", {})
    run_batch([root / "scans"], root / "read", OPTIONS, progress=False)
    later = open_app(root)
    offered = later.page()
    assert "read again" in offered["offered"]
    assert offered["calibration"]["gain"] == page["calibration"]["gain"]
    refused = later.post("/api/pages/page/decisions", {"what": "speed", "value": 50.0, "head": offered["head"]})
    assert refused.status_code == 409
    again = later.decide("again", None, head=offered["head"])
    assert again["offered"] == ""
    assert again["calibration"]["gain"] == 5.0


def test_corrections_that_are_offered_can_be_set_aside(app: App, root: Path) -> None:
    page = app.page()
    app.decide("gain", 5.0, head=page["head"])
    later = open_app(root)
    aside = later.decide("set_aside", None, head=later.page()["head"])
    assert aside["calibration"]["gain"] == page["calibration"]["gain"]
    assert [each["stands"] for each in aside["history"]] == [False, False]


def test_a_folder_that_cannot_be_written_refuses_the_decision_and_changes_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = app.page()

    def full(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("ecg_flare.privacy.chain.os.write", full)
    refused = app.post("/api/pages/page/decisions", {"what": "gain", "value": 5.0, "head": page["head"]})
    assert refused.status_code == 507
    assert "not saved" in refused.json()["error"]
    monkeypatch.undo()
    assert app.page()["calibration"]["gain"] == page["calibration"]["gain"]
    assert app.decide("gain", 5.0, head=page["head"])["calibration"]["gain"] == 5.0


def test_a_recording_that_cannot_be_written_is_told_and_written_later(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = app.page()
    app.decide("gain", 5.0, head=page["head"])

    def full(*_: object) -> None:
        raise StorageError("no space left for page.dat")

    with monkeypatch.context() as patch:
        patch.setattr("ecg_flare.digitize.files.output._write_bytes", full)
        said = app.post("/api/pages/page/save", {}).json()
    assert said == {"saved": False, "unsaved": "no space left for page.dat", "withheld": ""}
    assert app.page()["unsaved"] == said["unsaved"]
    assert app.page()["calibration"]["gain"] == 5.0
    assert app.post("/api/pages/page/save", {}).json()["saved"]
    assert json.loads((root / "read" / "page.json").read_text())["calibration"]["gain_mm_per_mv"] == 5.0
    assert np.nanstd(read_wfdb(root / "read" / "page").lead("V3")) > 0


def test_what_does_not_fit_the_page_is_refused_with_its_reason_and_not_written(app: App, root: Path) -> None:
    page = app.page()
    for what, value, said in (
        ("layout", "12x1", "12 rows"),
        ("names", [{"row": 7, "place": 0, "lead": "I"}], "row 8"),
        ("line", {"row": 0, "points": [[5, 5], [5, 9]]}, "no width"),
        ("speed", 1000.0, "speed"),
        ("dance", None, "no decision"),
    ):
        refused = app.post("/api/pages/page/decisions", {"what": what, "value": value, "head": page["head"]})
        assert refused.status_code == 422
        assert said in refused.json()["error"]
    assert not journal_path(root / "read", "page").exists()
    assert app.page()["head"] == page["head"]


def test_a_page_turned_so_that_it_cannot_be_read_says_why_and_can_be_turned_back(app: App) -> None:
    page = app.page()
    on_its_side = app.decide("turn", {"deg": 90}, head=page["head"])
    assert on_its_side["page"]["turned_deg"] == 90 or on_its_side["error"]
    back = app.decide("undo", None, head=on_its_side["head"])
    assert back["error"] == ""
    assert np.array_equal(samples(back, 0, 0), samples(page, 0, 0), equal_nan=True)


def test_tiles_are_the_page(app: App) -> None:
    page = app.page()
    answer = app.get("/api/pages/page/tiles/page/0/0/0")
    assert answer.headers["content-type"] == "image/jpeg"
    part = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert part.shape == (min(512, page["page"]["height"]), min(512, page["page"]["width"]), 3)
    for outside in ("page/0/99/0", "page/9/0/0", "picture/0/0/99"):
        assert app.get(f"/api/pages/page/tiles/{outside}").status_code == 422


def test_a_journal_that_was_tampered_with_is_named_and_nothing_is_read_from_it(app: App, root: Path) -> None:
    page = app.page()
    app.decide("gain", 5.0, head=page["head"])
    path = journal_path(root / "read", "page")
    path.write_text(path.read_text().replace("5.0", "2.5"))
    later = open_app(root)
    assert "cannot be trusted" in later.get("/api/pages/page").json()["error"]
    assert "cannot be trusted" in later.get("/api/pages").json()["pages"][0]["problem"]
