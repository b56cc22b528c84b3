"""The stages of a reading from a measured page to its recording, each of its own: pipeline.py runs them straight down.

Whoever reads a page with a person's corrections (corrected_page.py) enters between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.conclusion import conclude
from ecg_flare.digitize.ink.extraction import Ink, find_ink
from ecg_flare.digitize.ink.ruling import is_ruled
from ecg_flare.digitize.ink.segmenters import Segmenter, segment
from ecg_flare.digitize.leads.assign import Assignment
from ecg_flare.digitize.leads.borders import part_leads
from ecg_flare.digitize.leads.bridges import bridge_bars
from ecg_flare.digitize.leads.chest_balance import weigh_chest_gain
from ecg_flare.digitize.leads.coloured_labels import read_labels
from ecg_flare.digitize.leads.find import find_leads
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import readable_names
from ecg_flare.digitize.leads.lead_gains import settle_gains
from ecg_flare.digitize.leads.separators import settle_on_separators
from ecg_flare.digitize.leads.vectorize import recorded_leads, vectorize
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.measure.heart_rate import measure_heart_rate
from ecg_flare.digitize.measure.speed_prior import weigh_speed
from ecg_flare.digitize.measured_page import MeasuredPage
from ecg_flare.digitize.orientation import UPRIGHT_NAMES, UprightPageError
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.trace.page import PageLines, trace_page
from ecg_flare.digitize.trace.raster import RASTER_MM
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import PageError

Polylines = Sequence[Float64[np.ndarray, "k 2"]]
"""One line a row: x and y in pixels of the working page, NaN where there is no ink."""


@dataclass(frozen=True, eq=False)
class PageInk:
    """Where a segmenter sees what, on its own scale, and the ink of it, on the working page."""

    probabilities: Float32[np.ndarray, "4 h4 w4"]
    ink: Ink


@dataclass(frozen=True, eq=False)
class PlacedLeads:
    """Which lead stands where on the working page, its measures by its heart rate, its names in print, its rows."""

    assignment: Assignment
    calibration: Calibration
    names: frozenset[str]
    rows: LabelledRows


def see_ink(measured: MeasuredPage, segmenter: Segmenter, clock: Clock) -> PageInk:
    """Find the traces' ink. Raises PageError for a page of nothing but grid."""
    with clock.stage("segment"):
        probabilities = segment(segmenter, measured.network_image)
    with clock.stage("ink"):
        ink = find_ink(measured.working.image, probabilities)
        if is_ruled(ink.trace, measured.working.px_per_mm):
            raise PageError("No ECG trace was found on this page: what stands out on it are the lines of a grid.")
    return PageInk(probabilities, ink)


def follow_lines(
    measured: MeasuredPage, seen: PageInk, clock: Clock, levels_px: tuple[float, ...] | None = None
) -> PageLines:
    """Follow one line a row, at these levels where they are given. Raises PageError where there is no row."""
    with clock.stage("trace"):
        return trace_page(seen.ink.trace, measured.working.pulses, measured.working.px_per_mm, levels_px)


def place_leads(measured: MeasuredPage, seen: PageInk, lines: PageLines, layout: str, clock: Clock) -> PlacedLeads:
    """Find which lead stands where; `layout` is "auto" or given. Raises PageError where no row can be named."""
    scale = measured.working.px_per_mm
    with clock.stage("measure"):
        calibration = weigh_speed(measured.calibration, measure_heart_rate(lines.raster.y_mm, RASTER_MM))
    with clock.stage("leads"):
        words = read_labels(measured.working.image, seen.ink.every, seen.probabilities, lines.rows, scale)
        names = readable_names(words)
        try:
            rows = LabelledRows(lines.raster, words, calibration.speed_mm_per_s)
            assignment = find_leads(rows, layout)
        except PageError as error:
            raise UprightPageError(str(error)) if len(names) >= UPRIGHT_NAMES else error from None
        settled = settle_on_separators(assignment.spans, seen.ink, lines.levels_px, scale)
        return PlacedLeads(replace(assignment, spans=settled.spans, bars=settled.bars), calibration, names, rows)


@dataclass(frozen=True, eq=False)
class TracedPage:
    """All that a recording is taken from: a measured page, its ink, its lines, and which lead stands where."""

    measured: MeasuredPage
    seen: PageInk
    lines: PageLines
    placed: PlacedLeads


def take_signal(
    page: TracedPage, fs_hz: float, clock: Clock, by_hand: Callable[[Polylines], Polylines] | None = None
) -> Digitization:
    """Take the recording off the lines, and say how sure it is; its seconds are still to be filled in.

    `by_hand` has the last word on the lines, after neighbouring leads were told apart.
    """
    scale, lines = page.measured.working.px_per_mm, page.lines
    ink, assignment = page.seen.ink, page.placed.assignment
    with clock.stage("leads"):
        polylines = part_leads(ink.trace, lines.rows, lines.polylines, assignment.spans, scale, lines.pen_px)
        polylines = bridge_bars(ink, lines.rows, polylines, assignment.bars, scale, lines.pen_px)
        drawn = polylines if by_hand is None else by_hand(polylines)
    with clock.stage("recording"):
        return record(page.measured, page.placed.calibration, lines, drawn, assignment, fs_hz)


def record(
    measured: MeasuredPage,
    calibration: Calibration,
    lines: PageLines,
    polylines: Polylines,
    assignment: Assignment,
    fs_hz: float,
) -> Digitization:
    """Take the recording off these lines, each lead with its gain, and say how sure it is."""
    working = measured.working
    calibration = settle_gains(calibration, assignment.spans, working.pulses, lines.levels_px)
    signal = vectorize(polylines, assignment.spans, lambda lead: working.px_per_mm.y * calibration.gain_of(lead), fs_hz)
    recording = Recording(signal, fs_hz, recorded_leads(assignment.spans))
    calibration = weigh_chest_gain(calibration, recording)
    return conclude(measured, calibration, lines, polylines, assignment, recording)
