"""What a reading leaves on disk: its report, and its recording as CSV."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.digitize.files.output import make_report
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.formats.csv_table import csv_text
from ecg_flare.ecg.intervals.measure import measure_intervals
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording
from ecg_flare.page.page_list import PageFile


def test_the_report_says_how_everything_was_found(clean_reading: Digitization) -> None:
    report = make_report(clean_reading, PageFile(Path("scan.tif"), 2, "scan-p2"))

    assert report["source"] == {"file": "scan.tif", "page": 2}
    assert report["calibration"]["px_per_mm_x"] == pytest.approx(100 / 25.4, rel=0.002)
    assert (report["calibration"]["speed_source"], report["calibration"]["gain_source"]) == ("measured", "measured")
    assert {entry["lead"] for entry in report["leads"]} == set(LEADS)
    assert all(0.0 <= entry["coverage"] <= 1.0 for entry in report["leads"])
    json.dumps(report, allow_nan=False)


def test_the_report_does_not_say_how_long_it_took(clean_reading: Digitization) -> None:
    page, slow = PageFile(Path("scan.tif"), 1, "scan"), dict.fromkeys(clean_reading.seconds, 9.0)

    assert make_report(replace(clean_reading, seconds=slow), page) == make_report(clean_reading, page)


def test_csv_has_empty_cells_where_nothing_was_printed() -> None:
    signal = np.full((12, 3), np.nan, np.float32)
    signal[0] = [0.5, -0.25, 1.0]
    signal[11, 2] = -0.125

    rows = list(csv.reader(csv_text(Recording(signal, 500.0)).splitlines()))

    assert rows[0] == ["time_s", *LEADS]
    assert rows[1] == ["0", "0.5000", *[""] * 11]
    assert rows[3] == ["0.004", "1.0000", *[""] * 10, "-0.1250"]


def test_intervals_of_a_page_are_those_of_its_recording(clean_reading: Digitization) -> None:
    report = make_report(clean_reading, PageFile(Path("scan.tif"), 1, "scan"))["intervals"]
    measured = measure_intervals(clean_reading.recording)
    assert report["heart_rate_bpm"] == round(measured.heart_rate_bpm)
    assert report["qrs_ms"] == round(measured.qrs_ms)
    assert report["doubts"] == []


def test_intervals_are_doubted_where_the_speed_was_assumed_and_withheld_with_the_recording(
    clean_reading: Digitization,
) -> None:
    page = PageFile(Path("scan.tif"), 1, "scan")
    assumed = replace(clean_reading, calibration=replace(clean_reading.calibration, speed_source="assumed"))
    assert "25 mm/s was assumed" in make_report(assumed, page)["intervals"]["doubts"][0]
    withheld = make_report(replace(clean_reading, confidence=0.1), page)["intervals"]
    assert withheld["heart_rate_bpm"] is None
    assert set(withheld["not_measured"].values()) == {"the recording is withheld, and its intervals with it"}
