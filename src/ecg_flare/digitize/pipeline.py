"""A page image goes in, a recording comes out and says how sure it is. The rooms of this package, one after another:

rectify/   the page, upright, flat and evenly lit
curl/      paper that is bent made flat by its grid, and print that leans stood upright
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
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.by_lines import LinesError, read_by_lines
from ecg_flare.digitize.choice import better_of, beyond_doubt
from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.confidence import LIMBS_AGREE_DB, MIN_LABELS, SURE_LAYOUT
from ecg_flare.digitize.ink.segmenters import Segmenter
from ecg_flare.digitize.leads.assign import Assignment
from ecg_flare.digitize.measure.printed import may_be_settled
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.measured_page import MeasuredPage, measure_page
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.orientation import Trial, read_upright
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.row_length import measured_by_rows
from ecg_flare.digitize.stages import TracedPage, follow_lines, place_leads, see_ink, take_signal
from ecg_flare.digitize.words.findings import Finding, read_findings
from ecg_flare.digitize.words.statements import read_statements
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
        found = _open(image, options, clock).result
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


@dataclass(frozen=True, eq=False)
class OpenedPage:
    """A page that was read, and what it can be read on from: its measures, and the segmenter that was kept."""

    result: Digitization
    measured: MeasuredPage
    segmenter: Segmenter


def open_page(image: UInt8[np.ndarray, "h w 3"], options: ReadingOptions) -> OpenedPage:
    """Read a page as `digitize` does by its pixels, and keep what it was read from."""
    return _open(image, options, Clock())


def _open(image: UInt8[np.ndarray, "h w 3"], options: ReadingOptions, clock: Clock) -> OpenedPage:
    reader = _Reader(options, options.segmenters(), clock)
    return reader.opened(read_upright(image, reader, clock))


def open_standing(scaled: ScaledPage, options: ReadingOptions) -> OpenedPage:
    """Read a page that is known to stand upright. Raises PageError for what is refused."""
    reader = _Reader(options, options.segmenters(), Clock())
    try:
        trial = reader.look(scaled)
    except PageError:
        trial = None
    return reader.opened(reader.finish(scaled, trial).result)


class _Reader:
    """Reads a page one way up with one segmenter after another; all of them on one clock."""

    def __init__(self, options: ReadingOptions, segmenters: Sequence[Segmenter], clock: Clock) -> None:
        self._options = options
        self._first, *self._others = segmenters
        self._clock = clock
        self._last: tuple[ScaledPage, MeasuredPage] | None = None
        self._findings: tuple[Finding, ...] = ()
        self._kept: Segmenter = self._first

    def opened(self, result: Digitization) -> OpenedPage:
        """Put the reading that came of this reader's last `finish` beside what it was read from."""
        if self._last is None:
            raise RuntimeError("nothing was read: ask after `finish`")
        return OpenedPage(replace(result, seconds=self._clock.seconds), self._last[1], self._kept)

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
        self._kept = best.segmenter or self._first
        self._last = (scaled, best.measured or self._measured(scaled))
        return replace(best, result=replace(best.result, findings=self._findings))

    def _with_print(self, scaled: ScaledPage, trial: Trial | None) -> Trial | None:
        """Read a page anew where it prints a speed or a gain that nothing else says for sure, or with all its print."""
        measured = self._measured(scaled)
        weighed = measured.calibration if trial is None else trial.result.calibration
        wanted = self._options.words == "all" or may_be_settled(measured.calibration, weighed)
        if not wanted or (reader := self._options.word_reader()) is None:
            return trial
        with self._clock.stage("words"):
            words = reader(scaled.page.image, measured.calibration.px_per_mm.finer)
            printed, self._findings = read_statements(words), read_findings(words)
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
    kept = first if result.polylines is first.result.polylines else second
    names = first.names | second.names
    return Trial(result, names, first.fits or second.fits, kept.segmenter, kept.measured)


def _read_measured(measured: MeasuredPage, segmenter: Segmenter, options: ReadingOptions, clock: Clock) -> Trial:
    """Read a page one way up with one segmenter, straight down from its pixels to its recording."""
    seen = see_ink(measured, segmenter, clock)
    lines = follow_lines(measured, seen, clock)
    placed = place_leads(measured, seen, lines, options.layout, clock)
    by_rows = measured_by_rows(measured, placed.assignment)
    if by_rows is not measured:
        lines = follow_lines(by_rows, seen, clock)
        placed = place_leads(by_rows, seen, lines, options.layout, clock)
    result = take_signal(TracedPage(by_rows, seen, lines, placed), options.fs_hz, clock)
    return Trial(result, placed.names, _fits(placed.assignment), segmenter, by_rows)


def _fits(assignment: Assignment) -> bool:
    """Whether the layout is sure by what makes no sense upside down: labels, or the limb leads' identities."""
    evidence = assignment.evidence
    limbs_agree = evidence.limb_db is not None and evidence.limb_db >= LIMBS_AGREE_DB
    witness = limbs_agree or evidence.labels_agreeing >= MIN_LABELS
    return assignment.confidence >= SURE_LAYOUT and witness
