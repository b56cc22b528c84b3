"""A page image goes in, a recording comes out and says how sure it is. The rooms of this package, one after another:

rectify/   the page, upright, flat and evenly lit
words/     what is printed of its speed and gain, where nothing else says them
measure/   its pixels a millimetre, its speed, its gain
ink/       which pixels are ink of a trace
trace/     one line a row
leads/     which lead stands where, and its signal in mV
vector/    all of this but the leads by the lines that a PDF draws, where they add up
files/     what is read and written, around all of this
archive/   the same for many pages, by several processes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.by_lines import LinesError, read_by_lines
from ecg_flare.digitize.choice import better_of, beyond_doubt
from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.conclusion import conclude
from ecg_flare.digitize.confidence import LIMBS_AGREE_DB, MIN_LABELS, SURE_LAYOUT
from ecg_flare.digitize.ink.extraction import find_ink
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
from ecg_flare.digitize.leads.vectorize import vectorize
from ecg_flare.digitize.measure.heart_rate import measure_heart_rate
from ecg_flare.digitize.measure.printed import may_be_settled
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.measure.speed_prior import weigh_speed
from ecg_flare.digitize.measured_page import MeasuredPage, measure_page
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.orientation import UPRIGHT_NAMES, Trial, UprightPageError, read_upright
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.trace.page import trace_page
from ecg_flare.digitize.trace.raster import RASTER_MM
from ecg_flare.digitize.words.statements import read_statements
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import PageError
from ecg_flare.page.pdf_paths import DrawnLines


def digitize(
    image: UInt8[np.ndarray, "h w 3"],
    options: ReadingOptions | None = None,
    *,
    segmenter: str | Segmenter | Sequence[Segmenter] | None = None,
    lines: DrawnLines | None = None,
) -> Digitization:
    """Read a page image (RGB, any orientation and resolution) into a 12-lead recording.

    `options` say what is known of the page; all is measured without them. `segmenter`, where it is given, takes the
    place of that of the options. `lines` are those that the page's file draws, if it is a PDF: where they add up, they
    are read, and the pixels only in doubt.

    Raises PageError if this is no ECG page or has no measure, ConfigError for an unknown segmenter.
    """
    options = options or ReadingOptions()
    if segmenter is not None:
        options = replace(options, segmenter=segmenter)
    clock = Clock()
    by_lines, notes = _by_lines(image, lines, options, clock)
    if by_lines is not None and beyond_doubt(by_lines):
        return replace(by_lines, seconds=clock.seconds)
    try:
        found = read_upright(image, _Reader(options, options.segmenters(), clock), clock)
    except PageError:
        if by_lines is None:
            raise
        found = by_lines
    best = found if by_lines is None else better_of(by_lines, found)
    return replace(best, seconds=clock.seconds, warnings=(*best.warnings, *notes))


def _by_lines(
    image: UInt8[np.ndarray, "h w 3"], lines: DrawnLines | None, options: ReadingOptions, clock: Clock
) -> tuple[Digitization | None, tuple[str, ...]]:
    """Read a page by the lines that its file draws; without a reading, tell why, if it draws any."""
    if lines is None:
        return None, ()
    try:
        return read_by_lines(image, lines, options, clock), ()
    except LinesError as error:
        return None, (f"the lines that the PDF draws were not used, and its pixels were read: {error}",)


class _Reader:
    """Reads a page one way up with one segmenter after another; all of them on one clock."""

    def __init__(self, options: ReadingOptions, segmenters: Sequence[Segmenter], clock: Clock) -> None:
        self._options = options
        self._first, *self._others = segmenters
        self._clock = clock
        self._last: tuple[ScaledPage, MeasuredPage] | None = None

    def look(self, scaled: ScaledPage) -> Trial:
        """Read a page with the first segmenter."""
        return _read_measured(self._measured(scaled), self._first, self._options, self._clock)

    def finish(self, scaled: ScaledPage, trial: Trial | None) -> Trial:
        """Read it with what it prints, where that decides something, and with the others until there is no doubt.

        Returns the best reading.
        """
        trial = self._with_print(scaled, trial)
        best, refusal = trial, PageError("No segmenter but the first is installed, and it refused this page.")
        for segmenter in self._others:
            if best is not None and beyond_doubt(best.result):
                break
            try:
                found = _read_measured(self._measured(scaled), segmenter, self._options, self._clock)
            except PageError as error:
                refusal = error
                continue
            best = found if best is None else _better_trial(best, found)
        if best is None:
            raise refusal
        return best

    def _with_print(self, scaled: ScaledPage, trial: Trial | None) -> Trial | None:
        """Read a page anew where it prints a speed or a gain that nothing else says for sure."""
        measured = self._measured(scaled)
        weighed = measured.calibration if trial is None else trial.result.calibration
        if not may_be_settled(measured.calibration, weighed) or (reader := self._options.word_reader()) is None:
            return trial
        with self._clock.stage("words"):
            printed = read_statements(reader(scaled.page.image, measured.calibration.px_per_mm.finer))
        if not printed.statements:
            return trial
        with self._clock.stage("measure"):
            measured = measure_page(scaled, self._options, printed)
        self._last = scaled, measured
        try:
            return _read_measured(measured, self._first, self._options, self._clock)
        except PageError:
            return trial

    def _measured(self, scaled: ScaledPage) -> MeasuredPage:
        if self._last is None or self._last[0] is not scaled:
            with self._clock.stage("measure"):
                self._last = scaled, measure_page(scaled, self._options)
        return self._last[1]


def _better_trial(first: Trial, second: Trial) -> Trial:
    result = better_of(first.result, second.result)
    return Trial(result, first.names | second.names, first.fits or second.fits)


def _read_measured(measured: MeasuredPage, segmenter: Segmenter, options: ReadingOptions, clock: Clock) -> Trial:
    """Read a page one way up with one segmenter, straight down from its pixels to its recording."""
    working, scale = measured.working, measured.working.px_per_mm
    with clock.stage("segment"):
        probabilities = segment(segmenter, measured.network_image)
    with clock.stage("ink"):
        ink = find_ink(working.image, probabilities)
        if is_ruled(ink.trace, scale):
            raise PageError("No ECG trace was found on this page: what stands out on it are the lines of a grid.")
    with clock.stage("trace"):
        lines = trace_page(ink.trace, working.pulses, scale)
    with clock.stage("measure"):
        calibration = weigh_speed(measured.calibration, measure_heart_rate(lines.raster.y_mm, RASTER_MM))
    with clock.stage("leads"):
        words = read_labels(working.image, ink.every, probabilities, lines.rows, scale)
        names = readable_names(words)
        try:
            assignment = find_leads(LabelledRows(lines.raster, words, calibration.speed_mm_per_s), options.layout)
        except PageError as error:
            raise UprightPageError(str(error)) if len(names) >= UPRIGHT_NAMES else error from None
        settled = settle_on_separators(assignment.spans, ink.every, lines.levels_px, scale)
        polylines = part_leads(ink.trace, lines.rows, lines.polylines, settled.spans, scale, lines.pen_px)
        polylines = bridge_bars(ink, lines.rows, polylines, settled.bars, scale, lines.pen_px)
    with clock.stage("recording"):
        calibration = settle_gains(calibration, settled.spans, working.pulses, lines.levels_px)
        signal = vectorize(polylines, settled.spans, lambda lead: scale.y * calibration.gain_of(lead), options.fs_hz)
        recording = Recording(signal, options.fs_hz)
        calibration = weigh_chest_gain(calibration, recording)
        assignment = replace(assignment, spans=settled.spans, bars=settled.bars)
        result = conclude(measured, calibration, lines, polylines, assignment, recording)
    return Trial(result, names, _fits(assignment))


def _fits(assignment: Assignment) -> bool:
    """Whether the layout is sure by what makes no sense upside down: labels, or the limb leads' identities."""
    evidence = assignment.evidence
    limbs_agree = evidence.limb_db is not None and evidence.limb_db >= LIMBS_AGREE_DB
    witness = limbs_agree or evidence.labels_agreeing >= MIN_LABELS
    return assignment.confidence >= SURE_LAYOUT and witness
