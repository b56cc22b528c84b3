"""A batch writes all files of each page, goes on past bad ones, and shows the worst first."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecg_flare.digitize.confidence import OVERLAPPING
from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.files.html import build_html, failed_entry, read_entry
from ecg_flare.digitize.files.output import csv_text, make_report
from ecg_flare.digitize.files.overlay import draw_overlay, grid_phase, span_polyline
from ecg_flare.digitize.files.page_list import PageFile
from ecg_flare.digitize.files.summary import BatchSummary
from ecg_flare.digitize.files.waveform import waveform_svg
from ecg_flare.digitize.ink.segmenters import load_segmenter
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.rectify.light import grid_darkness
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import ConfigError, StorageError
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle


@pytest.fixture(scope="module")
def page() -> Page:
    rng = np.random.default_rng(8)
    return render_page(synthesize(rng), PageStyle(dpi=100), rng)


@pytest.fixture(scope="module")
def result(page: Page) -> Digitization:
    return digitize(page.image, segmenter=load_segmenter("classical"))


@pytest.fixture
def folder(page: Page, tmp_path: Path) -> Path:
    inside = tmp_path / "pages"
    inside.mkdir()
    cv2.imwrite(str(inside / "good.png"), page.image[:, :, ::-1])
    (inside / "bad.png").write_text("no image")
    return inside


def run(inputs: list[Path], out: Path, result: Digitization, *, html: bool = False) -> BatchSummary:
    return run_batch(inputs, out, html=html, progress=False, digitizer=lambda _: result)


def with_first_lead(result: Digitization, **changes: float) -> Digitization:
    """The reading with another first lead."""
    first, *others = result.leads
    return replace(result, leads=(replace(first, **changes), *others))  # type: ignore[arg-type]


def test_a_batch_goes_on_past_a_bad_page(folder: Path, tmp_path: Path, result: Digitization) -> None:
    summary = run([folder], tmp_path / "out", result, html=True)

    assert [(page.name, page.error is None) for page in summary.pages] == [("bad", False), ("good", True)]
    assert summary.exit_code == 3
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["good.csv", "good.dat", "good.hea", "good.json", "good.overlay.png", "report.html"]
    told = json.loads(json.dumps(summary.to_json()))
    assert (told["pages"], told["failed"], told["exit_code"]) == (2, 1, 3)
    assert told["results"][1]["report"] == json.loads((tmp_path / "out" / "good.json").read_text())
    assert "1 of 2 pages read" in summary.to_text()
    assert "not an image" in summary.to_text()


def test_a_whole_batch_exits_with_zero(folder: Path, tmp_path: Path, result: Digitization) -> None:
    summary = run([folder / "good.png"], tmp_path / "out", result)

    assert (summary.exit_code, summary.html_path, summary.n_failed) == (0, None, 0)


def test_what_no_one_foresaw_fails_its_page_alone(folder: Path, tmp_path: Path, result: Digitization) -> None:
    calls = []

    def stumble(image: np.ndarray) -> Digitization:
        calls.append(image.shape)
        if len(calls) == 1:
            raise IndexError("index 7 is out of bounds")
        return result

    cv2.imwrite(str(folder / "other.png"), np.full((200, 300, 3), 200, np.uint8))
    summary = run_batch(
        [folder / "good.png", folder / "other.png"], tmp_path / "out", progress=False, digitizer=stumble
    )

    assert [page.error for page in summary.pages] == ["unexpected IndexError: index 7 is out of bounds", None]


def test_usage_errors_come_before_any_work(folder: Path, tmp_path: Path, result: Digitization) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match="no page"):
        run([tmp_path / "empty"], tmp_path / "x", result)
    with pytest.raises(ConfigError, match="guess"):
        run_batch([folder], tmp_path / "y", ReadingOptions(segmenter="guess"), progress=False)
    with pytest.raises(StorageError):
        run([folder], tmp_path / "file" / "below", result)


def test_the_record_reads_back(folder: Path, tmp_path: Path, result: Digitization) -> None:
    run([folder / "good.png"], tmp_path, result)

    back = read_wfdb(tmp_path / "good")

    assert back.lead_names == LEADS
    assert back.fs_hz == 500.0
    np.testing.assert_allclose(back.signal_mv, result.recording.signal_mv, atol=0.002)  # NaN stays NaN


def test_the_report_says_how_everything_was_found(result: Digitization) -> None:
    report = make_report(result, PageFile(Path("scan.tif"), 2, "scan-p2"))

    assert report["source"] == {"file": "scan.tif", "page": 2}
    assert report["calibration"]["px_per_mm_x"] == pytest.approx(100 / 25.4, rel=0.002)
    assert (report["calibration"]["speed_source"], report["calibration"]["gain_source"]) == ("measured", "measured")
    assert {entry["lead"] for entry in report["leads"]} == set(LEADS)
    assert all(0.0 <= entry["coverage"] <= 1.0 for entry in report["leads"])
    assert list(report["seconds"]) == ["rectify", "measure", "segment", "ink", "trace", "leads", "recording"]
    json.dumps(report, allow_nan=False)


def test_a_lead_that_runs_into_another_row_is_doubted_by_itself(result: Digitization) -> None:
    overlapping = with_first_lead(result, shared=2 * OVERLAPPING)

    sure, doubted = (
        make_report(each, PageFile(Path("scan.tif"), 0, "scan"))["leads"] for each in (result, overlapping)
    )

    assert doubted[0]["shared"] == pytest.approx(2 * OVERLAPPING, abs=1e-4)
    assert doubted[0]["confidence"] == pytest.approx(sure[0]["confidence"] / 2, abs=1e-3)
    assert [entry["confidence"] for entry in doubted[1:]] == [entry["confidence"] for entry in sure[1:]]
    article = read_entry("scan.png", "scan", overlapping, np.full((60, 90, 3), 200, np.uint8)).article
    assert article.count(f"<td>{2 * OVERLAPPING:.1%}</td>") == 1


def test_csv_has_empty_cells_where_nothing_was_printed() -> None:
    signal = np.full((12, 3), np.nan, np.float32)
    signal[0] = [0.5, -0.25, 1.0]
    signal[11, 2] = -0.125

    rows = list(csv.reader(csv_text(Recording(signal, 500.0)).splitlines()))

    assert rows[0] == ["time_s", *LEADS]
    assert rows[1] == ["0", "0.5000", *[""] * 11]
    assert rows[3] == ["0.004", "1.0000", *[""] * 10, "-0.1250"]


def test_the_overlay_shows_the_lines_where_they_were_read(result: Digitization) -> None:
    overlay = draw_overlay(result)

    scale = overlay.shape[1] / result.page.image.shape[1]
    caption = overlay.shape[0] - round(result.page.image.shape[0] * scale)
    assert max(overlay.shape[:2]) >= 1500
    for span in (lead.span for lead in result.leads[:3]):
        line = span_polyline(result, span)
        x, y = line[np.isfinite(line).all(axis=1)][len(line) // 2]
        pixel = overlay[caption + round((y + 0.5) * scale - 0.5), round((x + 0.5) * scale - 0.5)].astype(int)
        assert pixel.max() - pixel.min() > 60  # a colour, on a faded page


def test_the_overlay_lays_the_measured_grid_where_the_paper_has_its_own(page: Page, result: Digitization) -> None:
    square = 5 * 100 / 25.4  # px, of the grid as printed
    shifted = np.full((300, 800, 3), 255, np.uint8)
    for x in np.arange(7.0, 800.0, square):
        shifted[:, round(x)] = (230, 120, 120)

    assert grid_phase(grid_darkness(shifted).mean(axis=0), square) == pytest.approx(7.0, abs=0.5)

    overlay = draw_overlay(result).astype(int)
    red = (overlay[:, :, 0] - overlay[:, :, 1]) > 40
    columns = np.flatnonzero(red[100:].mean(axis=0) > 0.5)
    scale = overlay.shape[1] / page.image.shape[1]
    assert np.median(np.diff(columns)[np.diff(columns) > 3]) == pytest.approx(square * scale, abs=1.5)


def test_the_drawing_repeats_the_recording(result: Digitization) -> None:
    svg = waveform_svg(result, "p1")

    for span in (lead.span for lead in result.leads):
        assert f">{span.lead} rhythm<" in svg if span.is_rhythm else f">{span.lead}<" in svg
    first = result.leads[0].span
    samples = result.recording.lead(first.lead)[round(first.start_s * 500) : round(first.end_s * 500)]
    drawn = re.search(r'class="ecg" d="([^"]*)"', svg)
    assert drawn is not None
    points = np.array([[float(value) for value in pair.split()] for pair in re.split("[ML]", drawn[1]) if pair])
    height = np.nanmax(samples) - np.nanmin(samples)
    assert np.ptp(points[:, 1]) == pytest.approx(10 * height, abs=0.15)  # 10 mm/mV
    assert np.ptp(points[:, 0]) == pytest.approx(25 * len(samples) / 500, abs=0.5)  # 25 mm/s


def test_what_to_check_stands_before_the_pictures_and_broken_leads_are_marked(result: Digitization) -> None:
    warnings = ("the <layout> is odd", "light", "dust")
    doubted = replace(result, confidence=0.4, warnings=warnings)
    doubted = with_first_lead(doubted, gaps=2)

    entry = read_entry("scan.png", "scan", doubted, np.full((60, 90, 3), 200, np.uint8))
    article = entry.article

    assert "The &lt;layout&gt; is odd <i>and 2 more</i>" in entry.row
    assert article.index("The &lt;layout&gt; is odd") < article.index("<figure>")
    assert "Check before use" in article
    assert '<text class="broken" x=' in article
    assert article.count('class="broken"') == 1
    assert "1 mV, 0.2 s" in article
    assert ">9 s</text>" in article


def test_the_html_needs_nothing_from_outside_and_begins_with_the_worst(result: Digitization) -> None:
    overlay = np.full((60, 90, 3), 200, np.uint8)
    entries = [
        read_entry("<sure>.png", "sure", result, overlay),
        failed_entry("lost.png", "lost", "lost.png is <damaged>"),
    ]

    html = build_html(entries)

    assert html.index('id="lost"') < html.index('id="sure"')
    assert "&lt;sure&gt;.png" in html
    assert "&lt;damaged&gt;" in html
    assert "<sure>" not in html
    assert not re.search(r"https?://|<script|@import|<link", html)
    assert all(url.startswith(("data:image/jpeg;base64,", "#")) for url in re.findall(r'(?:src|href)="([^"]*)"', html))
