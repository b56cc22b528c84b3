"""Masks drawn from confirmed readings: against the truth of a rendered page, and what is left out."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from review_apps import OPTIONS, App, open_app

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.ecg.record import read_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import ReviewError
from ecg_flare.page.mask_files import read_mask
from ecg_flare.page.raster import IGNORED, Label
from ecg_flare.page.render import render_page
from ecg_flare.page.resample import resample_page
from ecg_flare.page.style import PageStyle
from ecg_flare.review.confirmed_pages import FOLDER, draw_confirmed
from ecg_flare.review.folder import ReviewFolder
from ecg_flare.task.traces.page_folder import PageFolder


def folder_of(root: Path) -> ReviewFolder:
    return ReviewFolder.opened(root / "read", (root / "scans",))


def confirm(app: App, keep: slice = slice(None)) -> dict:
    page = app.page()
    places = [[lead["row"], lead["place"]] for lead in page["leads"]][keep]
    decided = app.decide("confirm", places, head=page["head"])
    app.post("/api/pages/page/save", {})
    return decided


def true_mask() -> np.ndarray:
    rng = np.random.default_rng(8)
    return resample_page(render_page(synthesize(rng), PageStyle(dpi=100), rng)).mask


def dice(one: np.ndarray, two: np.ndarray) -> float:
    return 2 * float((one & two).sum()) / float(one.sum() + two.sum())


def test_the_mask_of_a_confirmed_page_is_that_of_its_truth(app: App, root: Path) -> None:
    confirm(app)
    done = draw_confirmed(folder_of(root), OPTIONS)
    assert (done.names, done.drawn, done.left_out) == (("page",), 1, ())
    mask, truth = read_mask(done.folder / "page.mask.png").labels, true_mask()
    assert mask.shape == truth.shape
    assert dice(mask == Label.TRACE, truth == Label.TRACE) > 0.93
    assert dice(mask == Label.PULSE, truth == Label.PULSE) > 0.8
    assert (mask == IGNORED).mean() < 0.002
    printed = (mask == Label.PRINT) & (truth == Label.PRINT)
    assert printed.sum() > 0.8 * (mask == Label.PRINT).sum()
    assert printed.sum() > 0.8 * (truth == Label.PRINT).sum()
    [case] = PageFolder(str(done.folder), px_per_mm=4.0, patient_pattern="^(.+)$").cases("site")
    assert np.array_equal(case.mask, mask)


def test_leads_that_nobody_confirmed_and_what_is_unreadable_are_ignored_and_nothing_else(app: App, root: Path) -> None:
    page = app.page()
    lead = next(each for each in page["leads"] if (each["row"], each["place"]) == (1, 1))
    x = (lead["left"] + lead["right"]) / 2
    app.decide("unreadable", {"row": 1, "begin": [x, 0], "end": [x + 40, 0]}, head=page["head"])
    confirm(app, slice(1, None))  # all but the first row's first lead
    mask = read_mask(draw_confirmed(folder_of(root), OPTIONS).folder / "page.mask.png").labels
    truth, scale = true_mask(), mask.shape[1] / page["page"]["width"]
    first = next(each for each in page["leads"] if (each["row"], each["place"]) == (0, 0))
    lost = np.zeros(mask.shape[1], bool)
    lost[round(first["left"] * scale) + 2 : round(first["right"] * scale) - 2] = True
    level = np.median(np.concatenate(page["rows"][0]["line"])[:, 1]) * scale
    band = slice(round(level) - 20, round(level) + 20)
    trace = truth == Label.TRACE
    assert (mask[band][:, lost][trace[band][:, lost]] == IGNORED).all()
    middle = slice(round(x * scale) + 2, round((x + 40) * scale) - 2)
    row = np.median(np.concatenate(page["rows"][1]["line"])[:, 1]) * scale
    around = (slice(round(row) - 20, round(row) + 20), middle)
    assert (mask[around][trace[around]] == IGNORED).all()
    assert not (mask[around] == Label.TRACE).any()
    others = mask[round(row) + 60 :]
    assert (others == IGNORED).mean() < 0.002


def test_of_a_page_that_is_withheld_the_confirmed_leads_are_written_and_train(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecg_flare.digitize.files.output.WRITTEN", 1.01)
    page = app.page()
    assert "only leads that you confirm" in page["withheld"]
    unsure = app.decide("gain", page["calibration"]["gain"], head=page["head"])
    saved = app.post("/api/pages/page/save", {}).json()
    assert (saved["saved"], saved["withheld"]) == (True, unsure["withheld"])
    assert not (root / "read" / "page.hea").exists()

    confirm(app, slice(3, 5))
    report = json.loads((root / "read" / "page.json").read_text())
    assert (report["recording"]["status"], len(report["review"]["confirmed"])) == ("written", 2)
    assert any("the confirmed leads alone" in warning for warning in report["warnings"])
    written = read_wfdb(root / "read" / "page")
    leads = [each["lead"] for each in report["review"]["confirmed"]]
    known = {name for name in written.lead_names if np.isfinite(written.lead(name)).any()}
    assert known == set(leads)
    done = draw_confirmed(folder_of(root), OPTIONS)
    assert (done.names, done.left_out) == (("page",), ())
    assert (read_mask(done.folder / "page.mask.png").labels == Label.TRACE).any()

    confirm(app)
    assert app.page()["withheld"] == ""
    assert np.isfinite(read_wfdb(root / "read" / "page").lead("V6")).any()


def test_a_page_is_drawn_again_only_after_another_decision(app: App, root: Path) -> None:
    decided = confirm(app)
    assert draw_confirmed(folder_of(root), OPTIONS).drawn == 1
    assert draw_confirmed(folder_of(root), OPTIONS).drawn == 0
    app.decide("confirm", [[0, 0]], head=decided["head"])
    app.post("/api/pages/page/save", {})
    assert draw_confirmed(folder_of(root), OPTIONS).drawn == 1


def test_a_mask_is_drawn_again_where_what_it_follows_from_was_changed(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm(app)
    folder = draw_confirmed(folder_of(root), OPTIONS).folder

    (folder / "page.png").unlink()
    assert draw_confirmed(folder_of(root), OPTIONS).drawn == 1

    with (root / "read" / "page.hea").open("a") as header:
        header.write("# looked over\n")
    assert draw_confirmed(folder_of(root), OPTIONS).drawn == 1
    assert draw_confirmed(folder_of(root), OPTIONS).drawn == 0

    monkeypatch.setattr("ecg_flare.review.confirmed_pages.DRAWN_BY", ("review/training_page.py",))
    assert draw_confirmed(folder_of(root), OPTIONS).drawn == 1


def test_the_mask_of_a_picture_that_was_changed_since_does_not_train(app: App, root: Path) -> None:
    confirm(app)
    folder = draw_confirmed(folder_of(root), OPTIONS).folder
    picture = cv2.imread(str(root / "scans" / "page.png"))
    cv2.imwrite(str(root / "scans" / "page.png"), cv2.flip(picture, 1))
    with pytest.raises(ReviewError, match="no page of"):
        draw_confirmed(folder_of(root), OPTIONS)
    assert list(folder.glob("*.png")) == []


def test_what_an_ended_run_left_half_drawn_does_not_train(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided = confirm(app)

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ecg_flare.review.confirmed_pages._check_same", ended)
        with pytest.raises(KeyboardInterrupt):
            draw_confirmed(folder_of(root), OPTIONS)
    folder = root / "read" / FOLDER
    (folder / "page.png").write_bytes(b"half")
    app.decide("undo", None, head=decided["head"])
    app.post("/api/pages/page/save", {})
    with pytest.raises(ReviewError, match="no page of"):
        draw_confirmed(folder_of(root), OPTIONS)
    assert list(folder.glob("*.png")) == []


def test_a_page_that_is_confirmed_no_more_does_not_train(app: App, root: Path) -> None:
    decided = confirm(app)
    folder = draw_confirmed(folder_of(root), OPTIONS).folder
    app.decide("undo", None, head=decided["head"])
    app.post("/api/pages/page/save", {})
    with pytest.raises(ReviewError, match="no page of"):
        draw_confirmed(folder_of(root), OPTIONS)
    assert folder.name == FOLDER


def test_a_page_read_again_after_it_was_confirmed_is_left_out(app: App, root: Path) -> None:
    confirm(app)
    run_batch([root / "scans"], root / "read", OPTIONS, progress=False)
    with pytest.raises(ReviewError, match="no page of"):
        draw_confirmed(folder_of(root), OPTIONS)
    later = open_app(root)
    later.decide("again", None, head=later.page()["head"])
    later.post("/api/pages/page/save", {})
    assert draw_confirmed(folder_of(root), OPTIONS).names == ("page",)


def test_a_recording_that_is_not_the_one_confirmed_is_left_out_and_told(app: App, root: Path) -> None:
    confirm(app)
    path = root / "read" / "page.dat"
    path.write_bytes(path.read_bytes()[::-1])
    report = json.loads((root / "read" / "page.json").read_text())
    assert report["review"]["whole_page"]
    with pytest.raises(ReviewError, match="no page of"):
        draw_confirmed(folder_of(root), OPTIONS)


def test_masks_with_ignored_pixels_are_read_and_worse_values_are_refused(tmp_path: Path) -> None:
    from ecg_flare.errors import PageError

    cv2.imwrite(str(tmp_path / "good.png"), np.array([[0, 1], [3, IGNORED]], np.uint8))
    assert read_mask(tmp_path / "good.png").labels.tolist() == [[0, 1], [3, 4]]
    cv2.imwrite(str(tmp_path / "bad.png"), np.array([[0, IGNORED + 1]], np.uint8))
    with pytest.raises(PageError, match="value 5"):
        read_mask(tmp_path / "bad.png")
