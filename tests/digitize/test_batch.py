"""A batch writes all files of each page, goes on past bad ones, and shows the worst first."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.files.summary import BatchSummary
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import read_wfdb
from ecg_flare.errors import ConfigError, StorageError
from ecg_flare.page.render import Page


@pytest.fixture
def folder(clean_page: Page, tmp_path: Path) -> Path:
    inside = tmp_path / "pages"
    inside.mkdir()
    cv2.imwrite(str(inside / "good.png"), clean_page.image[:, :, ::-1])
    (inside / "bad.png").write_text("no image")
    return inside


def run(inputs: list[Path], out: Path, result: Digitization, *, html: bool = False) -> BatchSummary:
    return run_batch(inputs, out, html=html, progress=False, digitizer=lambda _: result)


def test_a_batch_goes_on_past_a_bad_page(folder: Path, tmp_path: Path, clean_reading: Digitization) -> None:
    summary = run([folder], tmp_path / "out", clean_reading, html=True)

    assert [(page.name, page.error is None) for page in summary.pages] == [("bad", False), ("good", True)]
    assert summary.exit_code == 3
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["good.csv", "good.dat", "good.hea", "good.json", "good.overlay.png", "report.html"]
    told = json.loads(json.dumps(summary.to_json()))
    assert (told["pages"], told["failed"], told["exit_code"]) == (2, 1, 3)
    assert told["results"][1]["report"] == json.loads((tmp_path / "out" / "good.json").read_text())
    stages = told["results"][1]["stages"]
    assert list(stages) == ["rectify", "measure", "segment", "ink", "trace", "leads", "recording"]
    assert "1 of 2 pages read" in summary.to_text()
    assert "not an image" in summary.to_text()


def test_a_whole_batch_exits_with_zero(folder: Path, tmp_path: Path, clean_reading: Digitization) -> None:
    summary = run([folder / "good.png"], tmp_path / "out", clean_reading)

    assert (summary.exit_code, summary.html_path, summary.n_failed) == (0, None, 0)


def test_what_no_one_foresaw_fails_its_page_alone(folder: Path, tmp_path: Path, clean_reading: Digitization) -> None:
    calls = []

    def stumble(image: np.ndarray) -> Digitization:
        calls.append(image.shape)
        if len(calls) == 1:
            raise IndexError("index 7 is out of bounds")
        return clean_reading

    cv2.imwrite(str(folder / "other.png"), np.full((200, 300, 3), 200, np.uint8))
    summary = run_batch(
        [folder / "good.png", folder / "other.png"], tmp_path / "out", progress=False, digitizer=stumble
    )

    assert [page.error for page in summary.pages] == ["unexpected IndexError: index 7 is out of bounds", None]


def test_usage_errors_come_before_any_work(folder: Path, tmp_path: Path, clean_reading: Digitization) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match="no page"):
        run([tmp_path / "empty"], tmp_path / "x", clean_reading)
    with pytest.raises(ConfigError, match="guess"):
        run_batch([folder], tmp_path / "y", ReadingOptions(segmenter="guess"), progress=False)
    with pytest.raises(StorageError):
        run([folder], tmp_path / "file" / "below", clean_reading)


def test_the_record_reads_back(folder: Path, tmp_path: Path, clean_reading: Digitization) -> None:
    run([folder / "good.png"], tmp_path, clean_reading)

    back = read_wfdb(tmp_path / "good")

    assert back.lead_names == LEADS
    assert back.fs_hz == 500.0
    np.testing.assert_allclose(back.signal_mv, clean_reading.recording.signal_mv, atol=0.002)  # NaN stays NaN


def test_a_reading_of_little_confidence_leaves_no_recording(
    folder: Path, tmp_path: Path, clean_reading: Digitization
) -> None:
    out = tmp_path / "out"
    run([folder / "good.png"], out, clean_reading)
    assert (out / "good.hea").exists()
    poor = replace(clean_reading, confidence=0.24, warnings=("the line is broken",))

    summary = run([folder / "good.png"], out, poor, html=True)

    assert sorted(path.name for path in out.iterdir()) == ["good.json", "good.overlay.png", "report.html"]
    assert (summary.exit_code, summary.n_withheld, summary.n_failed, summary.n_unsure) == (3, 1, 0, 0)
    report = json.loads((out / "good.json").read_text())
    assert report["recording"]["status"] == "withheld"
    assert "0.24, below 0.25" in report["recording"]["reason"]
    assert "0 of 1 pages read" in summary.to_text()
    assert "withheld: " in summary.to_text()
    told = summary.to_json()
    assert (told["withheld"], told["results"][0]["withheld"]) == (1, report["recording"]["reason"])
    page = (out / "report.html").read_text()
    assert "1 withheld" in page
    assert "No recording was written for this page." in page


def test_force_writes_what_would_be_withheld(folder: Path, tmp_path: Path, clean_reading: Digitization) -> None:
    poor = replace(clean_reading, confidence=0.03, warnings=("the line is broken",))

    summary = run_batch(
        [folder / "good.png"], tmp_path, ReadingOptions(force=True), progress=False, digitizer=lambda _: poor
    )

    assert (summary.exit_code, summary.n_withheld, summary.n_unsure) == (0, 0, 1)
    assert read_wfdb(tmp_path / "good").lead_names == LEADS
    assert json.loads((tmp_path / "good.json").read_text())["recording"]["status"] == "written"


def test_a_reading_of_just_enough_confidence_is_written(
    folder: Path, tmp_path: Path, clean_reading: Digitization
) -> None:
    just = replace(clean_reading, confidence=0.25, warnings=("the line is broken",))
    assert run([folder / "good.png"], tmp_path, just).exit_code == 0
    assert (tmp_path / "good.hea").exists()
