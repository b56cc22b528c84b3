"""What machines print of their own measurements and settings, and what of it is never kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.digitize.files.output import make_report
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.reading_intervals import interval_doubts
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.words.findings import Finding, read_findings
from ecg_flare.digitize.words.ocr import RapidWords
from ecg_flare.digitize.words.printed_word import PrintedWord
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.heading import Heading, draw_heading
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle


def word(text: str, score: float = 0.95) -> PrintedWord:
    return PrintedWord(text, score, 100.0, 200.0, 180.0, 212.0)


def said(*texts: str) -> list[tuple[str, float | str]]:
    return [(each.kind, each.value) for each in read_findings(word(text) for text in texts)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Vent. rate  72 BPM", [("heart_rate_bpm", 72.0)]),
        ("Ventricular Rate: 1O4", [("heart_rate_bpm", 104.0)]),
        ("HR 61 bpm", [("heart_rate_bpm", 61.0)]),
        ("Rate 88 /min", [("heart_rate_bpm", 88.0)]),
        ("Rate 88", []),
        ("Atrial rate 288 bpm", []),
        ("Sampling rate 500 Hz", []),
        ("PR interval  160 ms", [("pr_ms", 160.0)]),
        ("P-R 158", [("pr_ms", 158.0)]),
        ("PQ 172 ms", [("pr_ms", 172.0)]),
        ("P-R-T axes 45 30 60", []),
        ("QRS duration  92 ms", [("qrs_ms", 92.0)]),
        ("QRSD 92", [("qrs_ms", 92.0)]),
        ("ORS duration 92 ms", [("qrs_ms", 92.0)]),
        ("QRS axis 45", []),
        ("QRS 45 deg", []),
        ("QT/QTc  388/420 ms", [("qt_ms", 388.0), ("qtc_ms", 420.0)]),
        ("QT/QTcB 388/420", [("qt_ms", 388.0), ("qtc_ms", 420.0)]),
        ("QT 388 ms", [("qt_ms", 388.0)]),
        ("QTcF: 431 ms", [("qtc_ms", 431.0)]),
        ("QTc-Bazett 431 ms", [("qtc_ms", 431.0)]),
        ("PR 10 mm/mV", []),
        ("PR 16 ms", []),  # a digit was lost
        ("HR 72.5", []),
        ("Vent. rate 27 BPM", []),  # a 127 that lost its 1
        ("0.05-150 Hz", [("high_pass_hz", 0.05), ("low_pass_hz", 150.0)]),
        ("25mm/s 10mm/mV 40Hz", [("low_pass_hz", 40.0)]),
        ("F 50~ 0.5-35 Hz", [("high_pass_hz", 0.5), ("low_pass_hz", 35.0), ("mains_hz", 50.0)]),
        ("60~0.05-150 Hz", [("high_pass_hz", 0.05), ("low_pass_hz", 150.0), ("mains_hz", 60.0)]),
        ("300 Hz", []),
        ("2019-03-31 14:05", [("recorded_at", "2019-03-31T14:05")]),
        ("31.03.2019  9:07:11", [("recorded_at", "2019-03-31T09:07")]),
        ("31-MAR-2019 14:05", [("recorded_at", "2019-03-31T14:05")]),
        ("03-04-2019 14:05", [("recorded_at", "03-04-2019 14:05")]),  # day or month first
        ("04/04/2019 14:05", [("recorded_at", "2019-04-04T14:05")]),
        ("31.13.2019 14:05", [("recorded_at", "31.13.2019 14:05")]),
        ("31.03.2019", []),  # may be anybody's birth date
        ("DOB 31.03.1950 14:05", []),
        ("geb. 31.03.1950  14:05", []),
        ("MUELLER, ANNA  ID: 12345678", []),
        ("54 yr  Female", []),
    ],
)
def test_a_line_of_print_says(text: str, expected: list[tuple[str, float | str]]) -> None:
    assert said(text) == expected


def test_what_is_printed_in_two_ways_says_nothing() -> None:
    assert said("PR 160 ms", "PR 180 ms", "QRS 90 ms", "QRS 90 ms") == [("qrs_ms", 90.0), ("qrs_ms", 90.0)]


def test_a_line_that_was_hardly_read_says_nothing() -> None:
    assert read_findings([word("PR 160 ms", 0.6)]) == ()


def test_a_printed_interval_that_was_not_measured_so_is_told(clean_reading: Digitization) -> None:
    measured = clean_reading.intervals
    agreeing = (
        Finding("heart_rate_bpm", round(measured.heart_rate_bpm) + 3.0, word("")),
        Finding("qtc_ms", measured.qtc_fridericia_ms + 35.0, word("")),
        Finding("recorded_at", "2019-03-31T14:05", word("")),
    )
    assert interval_doubts(replace(clean_reading, findings=agreeing)) == ()
    against = Finding("qrs_ms", measured.qrs_ms + 60.0, word(""))
    assert interval_doubts(replace(clean_reading, findings=(*agreeing, against))) == (
        f"the page prints QRS {against.value:.0f} ms, and {measured.qrs_ms:.0f} ms was measured",
    )


def test_a_double_heart_rate_is_told(clean_reading: Digitization) -> None:
    doubled = Finding("heart_rate_bpm", 2 * clean_reading.intervals.heart_rate_bpm, word(""))
    assert "Heart rate" in interval_doubts(replace(clean_reading, findings=(doubled,)))[0]


def reader(image: np.ndarray, px_per_mm: float) -> tuple[PrintedWord, ...]:
    return (word("MUELLER, ANNA  ID: 12345678  PR 236 ms"), word("31.03.2019 14:05"), word("DOB 24.12.1950"))


def test_all_print_is_read_where_it_is_wanted_and_no_name_is_written(
    clean_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecg_flare.digitize.options.load_word_reader", lambda: reader)
    options = ReadingOptions(words="all", segmenter="classical")
    result = digitize(clean_page.image, options)
    report = make_report(result, PageFile(Path("scan.png"), 1, "scan"))
    assert [(one["kind"], one["value"]) for one in report["print"]] == [
        ("pr_ms", 236.0),
        ("recorded_at", "2019-03-31T14:05"),
    ]
    assert report["print"][0]["box_px"] == [100.0, 200.0, 180.0, 212.0]
    assert report["intervals"]["doubts"] == [
        f"the page prints PR 236 ms, and {result.intervals.pr_ms:.0f} ms was measured"
    ]
    text = json.dumps(report)
    assert not any(secret in text for secret in ("MUELLER", "12345678", "1950"))
    assert digitize(clean_page.image, replace(options, words="on")).findings == ()  # pulses say all there is to decide


def test_the_library_reads_what_a_machine_measured_off_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    headings: list[Heading] = []

    def drawn(style: PageStyle, rng: np.random.Generator) -> Heading:
        headings.append(draw_heading(style, rng))
        return headings[-1]

    monkeypatch.setattr("ecg_flare.page.render.draw_heading", drawn)
    style = PageStyle(layout="3x4+1R", dpi=200)
    page = render_page(synthesize(np.random.default_rng(3)), style, np.random.default_rng(4))
    (heading,) = headings
    lines = (*heading.patient, *heading.measured, *heading.footer)
    true = {(one.kind, one.value) for one in read_findings(word(line) for line in lines)}
    found = {(one.kind, one.value) for one in read_findings(RapidWords()(page.image, 200 / 25.4))}
    assert found <= true
    assert len(found) >= 3
