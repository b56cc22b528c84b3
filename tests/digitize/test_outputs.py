"""Formats and patients of a batch: written beside a reading, replaced with it, and asked for before a page is read."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import cv2
import pytest

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.files.summary import BatchSummary
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.outputs import Outputs
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.record import read_wfdb
from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.render import Page


@pytest.fixture
def page(clean_page: Page, tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    assert cv2.imwrite(str(tmp_path / "in" / "a.png"), clean_page.image[:, :, ::-1])
    return tmp_path / "in" / "a.png"


def run(page: Path, out: Path, result: Digitization, outputs: Outputs) -> BatchSummary:
    return run_batch([page], out, ReadingOptions(outputs=outputs), progress=False, digitizer=lambda _: result)


def endings(out: Path) -> set[str]:
    return {path.name.removeprefix("a") for path in out.iterdir()} - {".json", ".overlay.png"}


def test_the_formats_that_are_asked_for_are_written_and_told(
    page: Path, tmp_path: Path, clean_reading: Digitization
) -> None:
    out = tmp_path / "out"
    run(page, out, clean_reading, Outputs(("mat", "fhir", "aecg"), Study("4711")))
    assert endings(out) == {".mat", ".fhir.json", ".aecg.xml"}
    report = json.loads((out / "a.json").read_text())
    assert report["recording"]["formats"] == ["fhir", "aecg", "mat"]
    assert "4711" not in json.dumps(report)
    assert b"4711" in (out / "a.fhir.json").read_bytes()


def test_files_of_formats_that_are_not_asked_for_again_are_removed_with_the_reading_they_are_of(
    page: Path, tmp_path: Path, clean_reading: Digitization
) -> None:
    out = tmp_path / "out"
    run(page, out, clean_reading, Outputs(("wfdb", "mat"), Study("4711")))
    assert read_wfdb(out / "a").patient_id == "4711"
    run(page, out, clean_reading, Outputs(("csv", "mat")))
    assert endings(out) == {".csv", ".mat"}
    run(page, out, replace(clean_reading, confidence=0.1), Outputs(("csv", "mat")))
    assert endings(out) == set()


def test_a_file_of_somebody_else_stays_unless_its_format_is_asked_for(
    page: Path, tmp_path: Path, clean_reading: Digitization
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.mat").write_bytes(b"precious")
    assert run(page, out, clean_reading, Outputs()).exit_code == 0
    told = run(page, out, clean_reading, Outputs(("wfdb", "mat")))
    assert "a.mat is not of an earlier reading" in (told.pages[0].error or "")
    assert (out / "a.mat").read_bytes() == b"precious"


def test_a_format_without_a_patient_is_refused_before_a_page_is_read(page: Path, tmp_path: Path) -> None:
    def never(_: object) -> Digitization:
        raise AssertionError("a page was read")

    for outputs, message in (
        (Outputs(("fhir",)), "give --patient-id"),
        (Outputs(("wfdb",), patients={"b.png": Study("1")}), "does not name a.png"),
    ):
        with pytest.raises(ConfigError, match=message):
            run_batch([page], tmp_path / "out", ReadingOptions(outputs=outputs), digitizer=never)
    assert not (tmp_path / "out").exists()


def test_each_file_has_its_own_patient(tmp_path: Path) -> None:
    outputs = Outputs(("wfdb",), patients={"a.png": Study("1"), "in/b.png": Study("2")})
    assert outputs.study_of(PageFile(Path("other/a.png"), 1, "a")).patient_id == "1"
    assert outputs.study_of(PageFile(Path("in/b.png"), 1, "b")).patient_id == "2"
    with pytest.raises(ConfigError, match="whose page it is cannot be told"):
        outputs.study_of(PageFile(Path("b.png"), 1, "b"))


def test_patients_are_named_in_one_way() -> None:
    with pytest.raises(ConfigError, match="leave one of the two out"):
        Outputs(patients={}, study=Study("1", recorded_at=datetime(2000, 1, 1)))
