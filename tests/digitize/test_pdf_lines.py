"""PDFs that draw their traces as lines are read to the sample, however machines draw them; or it is said why not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import drawn_pdfs as drawn
import numpy as np
import pytest

from ecg_flare.digitize import digitize
from ecg_flare.digitize.by_lines import LinesError, read_by_lines
from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.pdf_files import draw_pdf_page
from ecg_flare.page.pdf_paths import DrawnLines, read_pdf_paths
from ecg_flare.page.render import Page

DPI = 100.0
EXACT_DB = 40.0

Read = Callable[..., Digitization]


@pytest.fixture(scope="session")
def recording() -> Recording:
    return synthesize(np.random.default_rng(5))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a PDF, and read it by its lines alone."""

    def run(file: bytes, options: ReadingOptions | None = None) -> Digitization:
        path = tmp_path / "page.pdf"
        path.write_bytes(file)
        picture = draw_pdf_page(path, 1, dpi=DPI, longest_px=8000).image
        lines = DrawnLines(read_pdf_paths(path, 1, picture.shape[:2]), DPI / 25.4)
        result = read_by_lines(picture, lines, options or ReadingOptions(words="off"), Clock())
        assert result is not None
        return result

    return run


def decibels(result: Digitization, truth: Recording, layout_rows: list[list[drawn.DrawnLead]]) -> float:
    """The least SNR of all leads that are printed, each over all of its samples, its offset aside."""
    found = {}
    for lead in {lead.name for row in layout_rows for lead in row}:
        longest = max((each for row in layout_rows for each in row if each.name == lead), key=lambda x: len(x.points))
        begin = round(float(longest.points[0, 0] - drawn.LEFT_MM) / 25.0 * truth.fs_hz)
        got = result.recording.lead(lead)[begin : begin + len(longest.points)].astype(float)
        known = truth.lead(lead)[begin : begin + len(longest.points)].astype(float)
        assert len(got) == len(known)
        assert np.isfinite(got).all(), lead
        error = (got - np.median(got)) - (known - np.median(known))
        found[lead] = 10 * np.log10(((known - known.mean()) ** 2).sum() / (error**2).sum())
    return min(found.values())


@pytest.mark.parametrize("layout", ["6x1-limb", "12x1", "3x4-cabrera+1R"])
def test_layouts_are_read_to_the_sample(read: Read, recording: Recording, layout: str) -> None:
    rows = drawn.leads_on_paper(recording, layout)

    result = read(drawn.pdf(drawn.ruled_grid() + drawn.labels(rows) + drawn.traces(rows)))

    assert result.layout == layout
    assert result.confidence >= 0.75, result.warnings
    assert (result.calibration.method, result.calibration.speed_source) == ("lines", "printed")
    assert result.calibration.px_per_mm.x == pytest.approx(DPI / 25.4, rel=1e-3)  # a picture has whole pixels
    assert decibels(result, recording, rows) > EXACT_DB


DRAWN: dict[str, Callable[[list[list[drawn.DrawnLead]]], str]] = {
    "a line a row": drawn.whole_rows,
    "a line a row, its pulse in it": lambda rows: drawn.whole_rows(rows, with_pulse=True),
    "lines of 25 samples": lambda rows: drawn.traces(rows, lambda points: drawn.in_pieces(points, 25)),
    "a line a sample": lambda rows: drawn.traces(rows, lambda points: drawn.in_pieces(points, 1)),
    "from right to left": lambda rows: drawn.traces(rows, lambda points: drawn.stroked(points[::-1])),
    "twice": lambda rows: drawn.traces(rows) * 2,
    "thin areas": lambda rows: drawn.traces(rows, drawn.as_area),
    "in red": lambda rows: drawn.traces(rows).replace("0 G", ".7 0 0 RG"),
}


@pytest.mark.parametrize("how", DRAWN)
def test_traces_are_read_however_they_are_drawn(read: Read, recording: Recording, how: str) -> None:
    rows = drawn.leads_on_paper(recording, "3x4+1R")

    result = read(drawn.pdf(drawn.ruled_grid() + drawn.labels(rows) + DRAWN[how](rows)))

    assert (result.layout, result.confidence >= 0.75) == ("3x4+1R", True), result.warnings
    assert decibels(result, recording, rows) > EXACT_DB


@pytest.mark.parametrize("grid", [drawn.boxed_grid(), drawn.filled_grid()], ids=["boxes of 5 mm", "thin areas"])
def test_grids_are_read_however_they_are_drawn(read: Read, recording: Recording, grid: str) -> None:
    rows = drawn.leads_on_paper(recording, "3x4+1R")
    result = read(drawn.pdf(grid + drawn.labels(rows) + drawn.traces(rows)))
    assert result.calibration.px_per_mm.y == pytest.approx(DPI / 25.4, rel=1e-3)
    assert decibels(result, recording, rows) > EXACT_DB


def test_a_page_that_is_turned_and_drawn_by_forms_within_forms(read: Read, recording: Recording) -> None:
    rows = drawn.leads_on_paper(recording, "3x4+1R")
    half = [[replace(lead, points=(lead.points - 10.0) / 2) for lead in row] for row in rows]
    forms = {
        "In": ("2 0 0 2 0 0", drawn.traces(half).replace(".3 w", ".15 w")),
        "Out": ("1 0 0 1 7 3", "q 1 0 0 1 3 7 cm /In Do Q"),
    }
    sheet = f"q 0 1 -1 0 {drawn.HEIGHT_MM} 0 cm {drawn.ruled_grid()}{drawn.labels(rows)} /Out Do Q"

    result = read(drawn.pdf(sheet, forms, rotate=90, upright=True))

    assert result.layout == "3x4+1R"
    assert decibels(result, recording, rows) > EXACT_DB


def test_columns_that_stand_apart(read: Read, recording: Recording) -> None:
    rows = drawn.leads_on_paper(recording, "3x4", gap_mm=3.0)
    result = read(drawn.pdf(drawn.ruled_grid() + drawn.labels(rows) + drawn.traces(rows)))
    assert result.layout == "3x4"
    assert decibels(result, recording, drawn.leads_on_paper(recording, "3x4")) > EXACT_DB


def test_leads_that_a_window_cuts_out_of_whole_rows(read: Read, recording: Recording) -> None:
    """Each column draws all ten seconds of its leads, and clips them to its own window."""
    rows = drawn.leads_on_paper(recording, "3x4+1R")
    content = drawn.ruled_grid() + drawn.labels(rows)
    along = np.arange(recording.n_samples) / recording.fs_hz * 25.0 + drawn.LEFT_MM
    for number, row in enumerate(rows):
        level = drawn.TOP_MM - 36.0 * number
        for lead in row:
            points = np.stack([along, level + 10.0 * recording.lead(lead.name)], axis=1)
            left, seconds = lead.points[0, 0], len(lead.points) / recording.fs_hz
            box = f"{left:.4f} {level - 17} {25.0 * seconds:.4f} 34 re W n\n"
            content += f"q {box} 0 G .3 w {drawn.stroked(points)} Q\n"

    result = read(drawn.pdf(content))

    assert result.layout == "3x4+1R"
    assert decibels(result, recording, rows) > EXACT_DB


def test_names_that_are_drawn_as_curves_are_read_off_the_picture(read: Read, recording: Recording) -> None:
    rows = drawn.leads_on_paper(recording, "3x4+1R")
    names = [(lead.name, lead.points[0, 0] + 1, np.median(lead.points[:, 1]) + 7) for row in rows for lead in row]
    words = drawn.outlined([*names, ("25 mm/s 10 mm/mV", 25.0, 8.0)])

    result = read(drawn.pdf(drawn.ruled_grid() + words + drawn.traces(rows)))

    assert (result.layout, result.layout_confidence >= 0.75) == ("3x4+1R", True), result.warnings
    assert result.calibration.speed_source == "assumed"
    assert decibels(result, recording, rows) > EXACT_DB


def test_coordinates_of_few_digits_cost_what_they_must(read: Read, recording: Recording) -> None:
    """A hundredth of a millimetre is a microvolt, and a fifth of a sample: what is lost is the rounding alone."""
    rows = drawn.leads_on_paper(recording, "3x4+1R")
    coarse = drawn.traces(rows, lambda points: drawn.stroked(points, digits=2))
    result = read(drawn.pdf(drawn.ruled_grid() + drawn.labels(rows) + coarse))
    assert decibels(result, recording, rows) > 30


@pytest.mark.parametrize(
    ("draw", "why"),
    [
        (lambda rows: drawn.ruled_grid() + drawn.traces(rows).replace("0 G", "1 G"), "the page shows only 0%"),
        (drawn.traces, "no grid to measure"),
        (lambda rows: drawn.ruled_grid() + drawn.traces([_stack(rows[0][0])]), "26 rows, more than"),
    ],
    ids=["white on white", "no grid", "too many rows"],
)
def test_what_does_not_add_up_is_said(
    read: Read, recording: Recording, draw: Callable[[list[list[drawn.DrawnLead]]], str], why: str
) -> None:
    rows = drawn.leads_on_paper(recording, "3x4")
    with pytest.raises(LinesError, match=why):
        read(drawn.pdf(draw(rows)))


def _stack(lead: drawn.DrawnLead) -> list[drawn.DrawnLead]:
    return [replace(lead, points=lead.points - np.array([0.0, 6.0 * number])) for number in range(26)]


def test_a_page_of_nothing_but_grid_and_text_has_no_lines_to_read(tmp_path: Path) -> None:
    path = tmp_path / "empty.pdf"
    path.write_bytes(drawn.pdf(drawn.ruled_grid() + drawn.text([("25 mm/s", 30.0, 30.0)])))
    lines = DrawnLines(read_pdf_paths(path, 1, (827, 1170)), DPI / 25.4)
    assert read_by_lines(np.full((827, 1170, 3), 255, np.uint8), lines, ReadingOptions(words="off"), Clock()) is None


def test_pixels_are_read_where_lines_do_not_add_up_and_it_is_said_why(
    clean_page: Page, clean_reading: Digitization, recording: Recording, tmp_path: Path
) -> None:
    path = tmp_path / "hidden.pdf"
    rows = drawn.leads_on_paper(recording, "3x4")
    path.write_bytes(drawn.pdf(drawn.ruled_grid() + drawn.traces(rows).replace("0 G", "1 G")))
    lines = DrawnLines(read_pdf_paths(path, 1, clean_page.image.shape[:2]), DPI / 25.4)

    result = digitize(clean_page.image, segmenter="classical", lines=lines)

    np.testing.assert_array_equal(result.recording.signal_mv, clean_reading.recording.signal_mv)
    assert result.warnings[:-1] == clean_reading.warnings
    assert "the PDF draws were not used, and its pixels were read: the page shows only 0%" in result.warnings[-1]


def test_a_batch_reads_the_lines_of_a_pdf(recording: Recording, tmp_path: Path) -> None:
    rows = drawn.leads_on_paper(recording, "3x4+1R")
    pulses = "0 G .3 w " + drawn.stroked(drawn.pulse(drawn.LEFT_MM - 8.0, drawn.TOP_MM))
    content = drawn.ruled_grid() + drawn.labels(rows) + pulses + drawn.traces(rows)
    (tmp_path / "page.pdf").write_bytes(drawn.pdf(content))

    summary = run_batch([tmp_path / "page.pdf"], tmp_path / "read", progress=False)

    report = summary.pages[0].report
    assert report is not None
    assert (report["calibration"]["method"], report["calibration"]["gain_source"]) == ("lines", "measured")
    assert (report["confidence"] >= 0.75, report["warnings"]) == (True, [])
    assert list(summary.pages[0].stages) == ["lines", "measure", "leads"]
    back = read_wfdb(tmp_path / "read" / "page")
    wanted = recording.lead("II") - np.median(recording.lead("II"))
    np.testing.assert_allclose(back.lead("II"), wanted, atol=0.002)  # a step of the file
