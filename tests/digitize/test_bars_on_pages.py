"""Pages with bars between their columns, read as well as the same pages without."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_flare.digitize import Digitization, digitize
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.leads.border_spikes import border_spikes, spiked_leads
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle, PrintStyle, Separator

SEED = 44  # no QRS stands at a border of these pages: what a bar hides is level
WORST_LOSS_DB = 0.3
BORDER_MM = 0.1
HALF_BAR_MM = 3.15


def drawn(layout: str, dpi: int, kind: Separator = "none", width_mm: float = 0.3) -> tuple[Recording, Page]:
    rng = np.random.default_rng(SEED)
    recording = synthesize(rng)
    style = PageStyle(layout=layout, dpi=dpi, text=PrintStyle(separator=kind, separator_mm=width_mm))
    return recording, render_page(recording, style, rng)


def printed(recording: Recording, page: Page) -> Recording:
    signal = np.full_like(recording.signal_mv, np.nan)
    for trace in sorted(page.truth.traces, key=lambda trace: trace.end_s - trace.start_s):
        row, part = LEADS.index(trace.lead), slice(*(round(t * recording.fs_hz) for t in (trace.start_s, trace.end_s)))
        signal[row] = np.nan
        signal[row, part] = recording.signal_mv[row, part]
    return replace(recording, signal_mv=signal)


def read(image: NDArray[np.uint8]) -> Digitization:
    return digitize(image, segmenter=classical_segmenter)


def score(found: Digitization, recording: Recording, page: Page) -> float:
    return evaluate_recording(found.recording, printed(recording, page)).snr_db_kaggle2025


@cache
def without(layout: str, dpi: int) -> float:
    recording, page = drawn(layout, dpi)
    return score(read(page.image), recording, page)


def borders_off_mm(found: Digitization, page: Page) -> float:
    """How far the worst border between two leads stands from where it was drawn."""
    starts = {trace.lead: trace.polyline[0, 0] for trace in page.truth.traces if trace.start_s > 0}
    off = [lead.span.left_px - starts[lead.span.lead] for lead in found.leads if lead.span.lead in starts]
    assert off
    return float(np.abs(off).max()) / page.truth.px_per_mm_x


def assert_read_as_well(image: NDArray[np.uint8], recording: Recording, page: Page) -> None:
    found = read(image)
    assert (
        score(found, recording, page) > without(page.truth.layout, round(page.truth.px_per_mm_x * 25.4)) - WORST_LOSS_DB
    )
    assert borders_off_mm(found, page) < BORDER_MM


@pytest.mark.parametrize(
    ("width_mm", "dpi"),
    [
        (0.3, 100),
        (0.5, 100),
        (0.76, 100),
        (1.0, 100),
        (1.5, 100),
        (0.3, 150),
        (0.76, 150),
        (1.5, 150),
        (0.76, 200),
        (1.5, 300),
    ],
)
def test_bars_across_the_trace(width_mm: float, dpi: int) -> None:
    recording, page = drawn("3x4+1R", dpi, "bars", width_mm)
    assert_read_as_well(page.image, recording, page)


@pytest.mark.parametrize(("kind", "dpi"), [("ticks", 150), ("line", 150), ("dashes", 150), ("dashes", 100)])
def test_other_marks_as_wide(kind: Separator, dpi: int) -> None:
    recording, page = drawn("3x4+1R", dpi, kind, 1.0)
    assert_read_as_well(page.image, recording, page)


@pytest.mark.parametrize("dpi", [100, 150])
@pytest.mark.parametrize("width_mm", [0.5, 0.76, 1.5])
def test_bars_at_the_one_border_of_two_columns(width_mm: float, dpi: int) -> None:
    recording, page = drawn("6x2", dpi, "bars", width_mm)
    assert_read_as_well(page.image, recording, page)


def barred(page: Page, leads: set[str], lean: float = 0.0) -> NDArray[np.uint8]:
    """The page with bars of 0.79 mm at the left border of these leads; they lean by so much along x a step down."""
    image, scale = page.image.copy(), page.truth.px_per_mm_x
    for trace in page.truth.traces:
        if trace.lead in leads and trace.start_s > 0:
            x, level = trace.polyline[0, 0], float(np.median(trace.polyline[:, 1]))
            corners = [
                (side * 0.395 + end * HALF_BAR_MM * lean, end * HALF_BAR_MM)
                for side, end in ((-1, -1), (1, -1), (1, 1), (-1, 1))
            ]
            points = [(x + across * scale, level + down * scale) for across, down in corners]
            cv2.fillConvexPoly(image, np.round(np.array(points) * 256).astype(np.int32), (0, 0, 0), cv2.LINE_AA, 8)
    return image


@pytest.mark.parametrize(
    ("leads", "lean"),
    [
        ({"aVR", "V1", "V4", "aVL", "V2", "V5"}, 0.0),
        (set(LEADS), 0.01),
        (set(LEADS), -0.01),
    ],
    ids=["in two rows of three", "leaning right", "leaning left"],
)
def test_bars_in_some_rows_and_bars_that_lean(leads: set[str], lean: float) -> None:
    recording, page = drawn("3x4+1R", 150)
    assert_read_as_well(barred(page, leads, lean), recording, page)


@pytest.mark.realdata
def test_the_bars_of_a_page_of_ecg_image_kit_are_no_signal(data_root: Path) -> None:
    found = digitize(read_page(PageFile(data_root / "real_pages" / "ecg00014.png", 1, "ecg00014")).image)
    assert spiked_leads(border_spikes(found.recording, [lead.span for lead in found.leads])) == ()
