"""Layouts, labels, physiology and columns on pages whose leads are known."""

from pathlib import Path

import numpy as np
import pytest

from ecg_flare.digitize import ReadingOptions
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.leads.assign import assign
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.trace.page_span import PageSpan
from ecg_flare.digitize.trace.raster import RASTER_MM, RowRaster
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.leads import ALL_LEADS, LEADS
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.layout import load_layout
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle, PrintStyle

ONE_COLUMN = ["6x1-limb", "6x1-cabrera", "6x1-chest", "12x1-cabrera"]


@pytest.mark.parametrize("layout", ["3x4+1R", "3x4-cabrera+1R", "6x2", "12x1", *ONE_COLUMN])
def test_layouts_are_told_apart(layout: str) -> None:
    rng = np.random.default_rng(11)
    page = render_page(synthesize(rng), PageStyle(layout=layout, dpi=120), rng)
    found = digitize(page.image, segmenter=classical_segmenter)
    assert found.layout == layout
    assert found.confidence >= CONFIDENT
    spans = [lead.span for lead in found.leads]
    printed = set(load_layout(layout).leads)
    assert {span.lead for span in spans} == printed
    unprinted = [lead for lead in LEADS if lead not in printed]
    assert all(np.isnan(found.recording.lead(lead)).all() for lead in unprinted)
    for trace in page.truth.traces:
        span = next(s for s in spans if s.lead == trace.lead and s.is_rhythm == trace.is_rhythm)
        assert span.row == trace.row
        assert span.inverted == trace.inverted
        assert span.left_px == pytest.approx(trace.polyline[0, 0], abs=2.0)


def test_the_rhythm_strip_is_named_by_what_it_repeats() -> None:
    rng = np.random.default_rng(5)
    page = render_page(synthesize(rng), PageStyle(layout="3x4+1R", rhythm_leads=("V1",), dpi=120), rng)
    found = digitize(page.image, segmenter=classical_segmenter)
    assert [lead.span.lead for lead in found.leads if lead.span.is_rhythm] == ["V1"]
    assert found.checks.rhythm_correlation is not None
    assert found.checks.rhythm_correlation > 0.95


@pytest.mark.parametrize(("repeats_db", "name"), [(16.0, "II"), (2.0, "I")])
def test_a_strip_that_repeats_a_lead_well_is_not_named_by_a_misread_label(repeats_db: float, name: str) -> None:
    """A label "II" of which a stroke is lost reads "I"; where nothing is repeated well the label decides."""
    rng = np.random.default_rng(7)
    x = np.arange(0.0, 2000.0, 8.0 * RASTER_MM)
    rows = np.cumsum(rng.normal(size=(4, len(x))), axis=1)
    quarter = len(x) // 4
    repeated = rows[1, :quarter] - np.median(rows[1, :quarter])
    noise = rng.normal(size=quarter) * np.sqrt((repeated**2).mean() / 10 ** (repeats_db / 10))
    rows[3, :quarter] = repeated + noise
    levels = np.array([200.0, 400.0, 600.0, 800.0])
    misread = Word(10.0, 770.0, 16.0, 790.0, 1, np.where(np.array(ALL_LEADS) == "I", 0.95, 0.2).astype(np.float32))
    raster = RowRaster(x, rows, levels, PageSpan(0.0, 2000.0, "none"), PxPerMm(8.0, 8.0), 2000.0)
    found = assign(LabelledRows(raster, (misread,), 25.0), "3x4+1R")
    assert found is not None
    assert [span.lead for span in found.spans if span.is_rhythm] == [name]


def test_columns_that_begin_together_are_told() -> None:
    rng = np.random.default_rng(6)
    style = PageStyle(layout="3x4+1R", columns="simultaneous", dpi=120)
    page = render_page(synthesize(rng), style, rng)
    found = digitize(page.image, segmenter=classical_segmenter)
    starts = {lead.span.lead: lead.span.start_s for lead in found.leads if not lead.span.is_rhythm}
    assert found.columns == "simultaneous"
    assert set(starts.values()) == {0.0}


@pytest.mark.parametrize(
    ("layout", "sure"), [("6x1-limb", True), ("6x1-cabrera", True), ("6x2", True), ("6x1-chest", False), ("3x1", False)]
)
def test_without_labels_the_leads_themselves_say_the_layout(layout: str, sure: bool) -> None:
    """Limb leads obey their identities in one order alone; six chest leads or three strips could be any."""
    rng = np.random.default_rng(13)
    page = render_page(synthesize(rng), PageStyle(layout=layout, dpi=120, text=PrintStyle(labels="none")), rng)
    found = digitize(page.image, segmenter=classical_segmenter)
    assert found.layout == layout
    assert (found.layout_confidence >= CONFIDENT) == sure
    assert found.confidence < CONFIDENT or sure


def strips_page(labels: str) -> Page:
    rng = np.random.default_rng(13)
    style = PageStyle(layout="3x1", rhythm_leads=("V1", "II", "V4"), dpi=120, text=PrintStyle(labels=labels))  # type: ignore[arg-type]
    return render_page(synthesize(rng), style, rng)


def test_strips_bear_the_names_of_their_labels() -> None:
    found = digitize(strips_page("above").image, segmenter=classical_segmenter)
    assert (found.layout, [lead.span.lead for lead in found.leads]) == ("3x1", ["V1", "II", "V4"])
    assert found.confidence >= CONFIDENT
    assert not any(lead.span.guessed for lead in found.leads)


def test_strips_without_labels_are_guesses_and_the_page_says_so() -> None:
    found = digitize(strips_page("none").image, segmenter=classical_segmenter)
    assert found.layout == "3x1"
    assert all(lead.span.guessed for lead in found.leads)
    assert found.confidence < CONFIDENT
    assert any("are guesses" in warning for warning in found.warnings)


@pytest.mark.realdata
@pytest.mark.parametrize(("page", "layout"), [(1, "6x1-limb"), (2, "6x1-chest")])
def test_a_machine_s_two_pages_are_limb_leads_and_chest_leads(data_root: Path, page: int, layout: str) -> None:
    path = data_root.parent / "faults" / "01_limb_leads_only_read_as_6x2" / "schiller_limb_p1_chest_p2.pdf"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    image = read_page(PageFile(path, page, "page")).image
    found = digitize(image, ReadingOptions(segmenter=classical_segmenter, speed=25.0, gain=10.0))
    assert (found.layout, found.layout_confidence >= CONFIDENT) == (layout, True)


@pytest.mark.realdata
def test_a_strip_whose_label_is_cut_takes_no_printed_lead_s_place(data_root: Path) -> None:
    path = data_root.parent / "faults" / "05_strip_of_II_replaces_V6" / "rotatedFullScan.png"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    found = digitize(read_page(PageFile(path, 1, "page")).image, ReadingOptions(segmenter=classical_segmenter))
    assert found.layout == "3x4+2R"
    strips = [lead.span for lead in found.leads if lead.span.is_rhythm]
    assert [span.lead for span in strips] == ["V1", "II"]
    assert strips[1].guessed
    assert any("is a guess" in text or "are guesses" in text for text in found.warnings)
    v6 = next(lead.span for lead in found.leads if lead.span.lead == "V6")
    known = np.flatnonzero(np.isfinite(found.recording.lead("V6"))) / found.recording.fs_hz
    assert known.min() > v6.start_s - 0.1
    assert known.max() < v6.end_s + 0.1
