"""A folder of pages looked over: each mistake of a hospital is named at its page, with what to do."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from ecg_flare.errors import SiteDataError
from ecg_flare.task.traces.inspection import Finding, Inspection, inspect_pages
from ecg_flare.task.traces.page_folder import PageFolder

DPI = 100
PX_PER_MM = DPI / 25.4
SIDES_PX = (400, 600)


def draw(folder: Path, name: str, *, seed: int = 0, thickness: int = 3, value: int = 1) -> Path:
    """A page of 102 x 152 mm with a trace across it, and its mask."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    image = rng.integers(200, 255, (*SIDES_PX, 3), dtype=np.uint8)
    mask = np.zeros(SIDES_PX, np.uint8)
    x = np.arange(0, SIDES_PX[1], 10)
    points = np.stack([x, 200 + 20 * np.sin(x / 40 + seed)], axis=1).astype(np.int32)
    cv2.polylines(mask, [points], isClosed=False, color=value, thickness=thickness)
    image[mask > 0] = 0
    cv2.imwrite(str(folder / f"{name}.png"), image)
    cv2.imwrite(str(folder / f"{name}.mask.png"), mask)
    return folder / f"{name}.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pages of anna and one of bela, all well."""
    for seed, name in enumerate(("anna_1", "anna_2", "bela_1")):
        draw(tmp_path / "pages", name, seed=seed)
    return tmp_path / "pages"


def look(folder: Path, **settings: object) -> Inspection:
    source = PageFolder(str(folder), **{"px_per_mm": PX_PER_MM, "patient_pattern": "^([^_]+)_", **settings})
    return inspect_pages(source, "site-1")


def only(found: Inspection) -> Finding:
    assert len(found.findings) == 1, found.findings
    return found.findings[0]


def test_pages_that_are_well_are_counted(folder: Path) -> None:
    found = look(folder)
    assert found.findings == ()
    assert found.ready
    assert found.found == 3
    assert dict(found.cases_by_patient) == {"anna": 2, "bela": 1}
    assert all(page.px_per_mm == pytest.approx(PX_PER_MM, rel=0.01) for page in found.cases)
    assert found.cases[0].width_mm == pytest.approx(600 / PX_PER_MM, rel=0.01)
    assert found.cache_bytes == pytest.approx(3 * 102 * 152 * 16 * 12, rel=0.02)


def test_a_page_that_cannot_be_read_stops_and_the_others_are_still_looked_at(folder: Path) -> None:
    (folder / "anna_1.png").write_bytes(b"no picture")
    (folder / "bela_1.mask.png").unlink()
    found = look(folder)
    assert not found.ready
    assert {(each.case, each.stops) for each in found.findings} == {("anna_1.png", True), ("bela_1.png", True)}
    assert all(each.remedy for each in found.findings)
    assert [page.name for page in found.cases] == ["anna_2.png"]


def test_a_page_of_nobody_is_refused_unless_each_is_its_own(folder: Path) -> None:
    draw(folder, "unnamed", seed=9)
    finding = only(look(folder))
    assert finding.case == "unnamed.png"
    assert finding.stops
    assert "--each-page-a-patient" in finding.remedy
    assert len(look(folder, patient_pattern="^(.+)$").cases_by_patient) == 4


def test_pages_of_one_patient_alone_cannot_train(folder: Path) -> None:
    (folder / "bela_1.png").unlink()
    finding = only(look(folder))
    assert (finding.case, finding.stops) == ("", True)
    assert "1 patient" in finding.what


def test_a_wrong_resolution_shows_in_millimetres(folder: Path) -> None:
    found = look(folder, px_per_mm=PX_PER_MM / 5)
    assert not found.ready
    assert "762 mm long" in found.findings[0].what  # 600 px at 20 dpi


def test_a_resolution_that_the_file_denies_is_told(folder: Path) -> None:
    from PIL import Image

    with Image.open(folder / "anna_1.png") as image:
        image.save(folder / "anna_1.png", dpi=(300, 300))
    finding = only(look(folder))
    assert (finding.case, finding.stops) == ("anna_1.png", False)
    assert "300 dpi" in finding.what


def test_traces_of_a_wrong_thickness_are_told_and_none_stop(folder: Path) -> None:
    draw(folder, "anna_1", thickness=13)
    finding = only(look(folder))
    assert (finding.case, finding.stops) == ("anna_1.png", False)
    assert "mm thick" in finding.what
    draw(folder, "anna_1", value=3)  # print alone
    finding = only(look(folder))
    assert (finding.case, finding.stops) == ("anna_1.png", True)


def test_the_same_picture_under_two_patients_stops(folder: Path) -> None:
    draw(folder, "cleo_1", seed=0)
    finding = only(look(folder))
    assert finding.stops
    assert (finding.case, "cleo_1.png" in finding.what) == ("anna_1.png", True)
    (folder / "cleo_1.png").rename(folder / "anna_3.png")
    (folder / "cleo_1.mask.png").rename(folder / "anna_3.mask.png")
    finding = only(look(folder))
    assert (finding.what, finding.stops) == ("the same picture as anna_3.png", False)


def test_names_that_would_become_one_stop(folder: Path) -> None:
    draw(folder, "bela 1", seed=5)
    draw(folder, "bela-1", seed=6)
    found = look(folder, patient_pattern="^([a-z]+)")
    assert [(each.case, each.stops) for each in found.findings] == [("bela 1.png", True)]


def test_what_is_no_page_is_told(folder: Path) -> None:
    (folder / "notes.docx").touch()
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (folder / "patients.csv").write_text("page,patient_id\nanna_1,a\nanna_2,a\nbela_1,b\ngone_1,c\n")
    found = look(folder)
    assert found.ready
    assert [each.what for each in found.findings] == [
        "left out: it is HEIC, which is not read: convert it to PNG or JPEG",
        "left out: notes.docx is no page (PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000 or PDF)",
        "patients.csv names 1 pages that are not there, 'gone_1' first",
    ]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SiteDataError, match="no page images"):
        look(tmp_path)
