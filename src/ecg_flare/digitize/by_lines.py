"""A page read by the lines that its PDF draws, by the same stages from the leads on as one read by its pixels.

Grid, traces and print come from the file. Leads, confidence and all that is told are found as they are on pixels; only
what pixels make hard is not asked: which ink is a trace's, and which row's it is. Where something does not add up, this
says why, and the page is read by its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.ink.extraction import find_ink
from ecg_flare.digitize.ink.segmenters import segment
from ecg_flare.digitize.leads.coloured_labels import read_labels
from ecg_flare.digitize.leads.find import find_leads
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.measure.calibrate import calibrate
from ecg_flare.digitize.measure.given import given_measures
from ecg_flare.digitize.measure.heart_rate import measure_heart_rate
from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measure.scale import GridScale, PageScale, measure_scale
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.measure.speed_prior import weigh_speed
from ecg_flare.digitize.measure.working_page import WorkingPage, at_network_scale
from ecg_flare.digitize.measured_page import MeasuredPage
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.rectify.normalize import NormalizedPage, normalize
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.stages import record
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.trace.raster import RASTER_MM
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.digitize.vector.grid import find_grid
from ecg_flare.digitize.vector.print import printed_labels, printed_lines
from ecg_flare.digitize.vector.pulses import find_pulses_in, without_pulse
from ecg_flare.digitize.vector.rows import MAX_ROWS, StrokeRow, group_rows, page_lines
from ecg_flare.digitize.vector.strokes import Stroke, find_strokes, is_trace
from ecg_flare.digitize.vector.timing import settle_on_lines
from ecg_flare.digitize.vector.visible import visible_share
from ecg_flare.digitize.words.statements import read_statements
from ecg_flare.errors import PageError
from ecg_flare.page.pdf_paths import DrawnLines, PagePaths

MIN_VISIBLE: Final = 0.9
"""Share of the traces that the picture of the page has to show: what is hidden was not printed."""

FEW_LABELS: Final = 4
"""Lead names in the text; with fewer, those that are drawn are read off the pixels."""

_MOVED: Final = 1e-6  # of a homography that leaves a page as it is
_SURE_MARGIN: Final = 16.0
_SURE_SQUARES: Final = 1.0


class LinesError(PageError):
    """A page cannot be read by its lines; it may be by its pixels."""


def read_by_lines(
    image: UInt8[np.ndarray, "h w 3"], drawn: DrawnLines, options: ReadingOptions, clock: Clock
) -> Digitization | None:
    """Read a page by the lines that its file draws; `image` is its picture, in whose pixels they are.

    Returns None where there is no line that may be a trace: the page is a scan. Raises LinesError, whose text is the
    end of a sentence, where the lines do not add up.
    """
    with clock.stage("lines"):
        paper = PxPerMm(drawn.px_per_mm, drawn.px_per_mm)
        lines = find_strokes(drawn.paths, paper)
        if not any(is_trace(line, paper) for line in lines):
            return None
        scale = _scale(image, drawn, options)
        found = [(line, find_pulses_in(line.points, scale)) for line in lines]
        pulses = tuple(pulse for _, own in found for pulse in own)
        rows = _rows(found, scale)
        _check_visible(image, rows)
    with clock.stage("measure"):
        measured = _measured(image, drawn.paths, scale, pulses, options)
    with clock.stage("leads"):
        return _concluded(measured, rows, drawn.paths, options)


def _scale(image: UInt8[np.ndarray, "h w 3"], drawn: DrawnLines, options: ReadingOptions) -> PxPerMm:
    """Pixels a millimetre: as given, or by the lines of the grid, or by its pixels where it is a picture."""
    given = given_measures("auto", "auto", options.px_per_mm).px_per_mm
    if given is not None:
        return given
    grid = find_grid(drawn.paths, drawn.px_per_mm)
    if grid is not None:
        return grid.px_per_mm
    page = normalize(image)
    seen = measure_scale(page.image, page.period_px).grid
    if seen is None or not np.allclose(page.homography, np.eye(3), atol=_MOVED):
        raise LinesError("there is no grid to measure them by")
    return seen.px_per_mm


def _rows(lines: Sequence[tuple[Stroke, list[Pulse]]], scale: PxPerMm) -> tuple[StrokeRow, ...]:
    """The traces in rows, without the pulses that each has."""
    parts = [part for line, pulses in lines for part in without_pulse(line, pulses, scale)]
    traces = [part for part in parts if is_trace(part, scale)]
    if not traces:
        raise LinesError("they hold no trace")
    rows = group_rows(traces, scale)
    if len(rows) > MAX_ROWS:
        raise LinesError(f"they are {len(rows)} rows, more than an ECG has")
    return rows


def _check_visible(image: UInt8[np.ndarray, "h w 3"], rows: Sequence[StrokeRow]) -> None:
    share = visible_share(image, [stroke for row in rows for stroke in row.strokes])
    if share < MIN_VISIBLE:
        raise LinesError(f"the page shows only {share:.0%} of their length")


def _measured(
    image: UInt8[np.ndarray, "h w 3"],
    paths: PagePaths,
    scale: PxPerMm,
    pulses: tuple[Pulse, ...],
    options: ReadingOptions,
) -> MeasuredPage:
    """The page as it is, with the grid and the pulses of its lines, and the print of its text."""
    page = NormalizedPage(image, image, np.eye(3), 0.0, (scale.x, scale.y), (), upright_confidence=1.0)
    scaled = ScaledPage(page, PageScale(GridScale(scale, _SURE_MARGIN, _SURE_SQUARES), pulses))
    calibration = calibrate(
        scaled,
        speed=options.speed,
        gain=options.gain,
        chest_gain=options.chest_gain,
        px_per_mm=options.px_per_mm,
        printed=read_statements(printed_lines(paths)),
    )
    if calibration.method == "grid":
        calibration = replace(calibration, method="lines")
    working = WorkingPage(image, (1.0, 1.0), scale, pulses)
    return MeasuredPage(page, calibration, at_network_scale(image, scale), working)


def _concluded(
    measured: MeasuredPage, rows: Sequence[StrokeRow], paths: PagePaths, options: ReadingOptions
) -> Digitization:
    scale, pulses = measured.working.px_per_mm, measured.working.pulses
    lines = page_lines(rows, pulses, scale, measured.page.image.shape[1])
    calibration = weigh_speed(measured.calibration, measure_heart_rate(lines.raster.y_mm, RASTER_MM))
    words = printed_labels(paths)
    if len({word.best for word in words}) < FEW_LABELS:
        words = (*words, *_drawn_labels(measured, lines))
    try:
        assignment = find_leads(LabelledRows(lines.raster, words, calibration.speed_mm_per_s), options.layout)
    except PageError as error:
        raise LinesError(f"their rows are no layout's: {error}") from error
    px_per_s = scale.x * calibration.speed_mm_per_s
    after_pulse = lines.raster.span.pulse in ("left", "both")
    spans = settle_on_lines(assignment.spans, rows, px_per_s, assignment.columns, after_pulse=after_pulse)
    assignment = replace(assignment, spans=spans)
    return record(measured, calibration, lines, lines.polylines, assignment, options.fs_hz)


def _drawn_labels(measured: MeasuredPage, lines: PageLines) -> tuple[Word, ...]:
    """Lead names that are drawn, and no text, as the stages of pixels read them."""
    image, scale = measured.working.image, measured.working.px_per_mm
    probabilities = segment(classical_segmenter, measured.network_image)
    ink = find_ink(image, probabilities)
    return read_labels(image, ink.every, probabilities, lines.rows, scale)
