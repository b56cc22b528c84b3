"""What a corrected reading is written as: all that the first reading was, and WFDB."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from review_apps import OPTIONS, open_app
from scipy.io import loadmat

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.outputs import Outputs
from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.record import read_wfdb
from ecg_flare.errors import ConfigError
from ecg_flare.review.folder import ReviewFolder, check_written

NOBODY = Study(anonymous=True)


def read_as(root: Path, *formats: str) -> None:
    options = replace(OPTIONS, outputs=Outputs(formats=formats, study=NOBODY))
    run_batch([root / "scans"], root / "read", options, progress=False)


def with_twice_the_gain(root: Path, outputs: Outputs) -> None:
    app = open_app(root, options=replace(OPTIONS, outputs=outputs))
    page = app.page()
    decided = app.decide("gain", 2 * page["calibration"]["gain"], head=page["head"])
    saved = app.post("/api/pages/page/save", {}).json()
    assert (saved["saved"], saved["unsaved"]) == (True, "")
    assert decided["head"] != page["head"]


def millivolts(root: Path) -> np.ndarray:
    return np.array(loadmat(root / "read" / "page.mat")["signal_mv"], float)


def test_every_format_of_the_first_reading_has_the_correction_and_wfdb_has_it_too(root: Path) -> None:
    read_as(root, "mat", "fhir")
    before, told = millivolts(root), (root / "read" / "page.fhir.json").read_bytes()
    with_twice_the_gain(root, Outputs(study=NOBODY))
    report = json.loads((root / "read" / "page.json").read_text())
    assert report["recording"]["formats"] == ["wfdb", "fhir", "mat"]
    assert np.nanmax(np.abs(millivolts(root) - before / 2)) < 1e-6
    assert (root / "read" / "page.fhir.json").read_bytes() != told
    assert np.nanmax(np.abs(read_wfdb(root / "read" / "page").signal_mv - before / 2)) < 2e-3
    assert not (root / "read" / "page.csv").exists()


def test_a_page_without_a_recording_is_written_as_the_others_of_its_folder(root: Path) -> None:
    read_as(root, "mat")
    (root / "scans" / "second.png").write_bytes((root / "scans" / "page.png").read_bytes())
    pages = {page.name: page.formats for page in ReviewFolder.opened(root / "read", (root / "scans",)).pages()}
    assert pages == {"page": ("mat",), "second": ("mat",)}


def test_a_format_that_needs_a_patient_is_told_before_the_first_decision(root: Path) -> None:
    read_as(root, "wfdb", "fhir")
    folder = ReviewFolder.opened(root / "read", (root / "scans",))
    with pytest.raises(ConfigError, match=r"page was written as wfdb, fhir: .*--anonymous"):
        check_written(folder, Outputs())
    check_written(folder, Outputs(study=NOBODY))
