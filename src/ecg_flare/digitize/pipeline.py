"""A page image goes in, a recording comes out and says how sure it is. The rooms of this package, one after another:

rectify/   the page, upright, flat and evenly lit
measure/   its pixels a millimetre, its speed, its gain
ink/       which pixels are ink of a trace
trace/     one line a row
leads/     which lead stands where, and its signal in mV
files/     what is read and written, around all of this
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.choice import better_of, beyond_doubt
from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.conclusion import conclude
from ecg_flare.digitize.ink.extraction import find_ink
from ecg_flare.digitize.ink.segmenters import Segmenter, segment
from ecg_flare.digitize.leads.borders import part_leads
from ecg_flare.digitize.leads.bridges import bridge_bars
from ecg_flare.digitize.leads.find import find_leads
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import read_words, readable_names
from ecg_flare.digitize.leads.separators import settle_on_separators
from ecg_flare.digitize.leads.vectorize import vectorize
from ecg_flare.digitize.measure.heart_rate import measure_heart_rate
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.measure.speed_prior import weigh_speed
from ecg_flare.digitize.measured_page import MeasuredPage, measure_page
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.orientation import UPRIGHT_NAMES, Trial, UprightPageError, read_upright
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.trace.page import trace_page
from ecg_flare.digitize.trace.raster import RASTER_MM
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import PageError


def digitize(
    image: UInt8[np.ndarray, "h w 3"],
    options: ReadingOptions | None = None,
    *,
    segmenter: str | Segmenter | Sequence[Segmenter] | None = None,
) -> Digitization:
    """Read a page image (RGB, any orientation and resolution) into a 12-lead recording.

    `options` say what is known of the page; all is measured without them. `segmenter`, where it is given, takes the
    place of that of the options. Raises PageError if this is no ECG page or has no measure, ConfigError for an unknown
    segmenter.
    """
    options = options or ReadingOptions()
    if segmenter is not None:
        options = replace(options, segmenter=segmenter)
    return read_upright(image, partial(_read_page, options=options, segmenters=options.segmenters()))


def _read_page(scaled: ScaledPage, clock: Clock, *, options: ReadingOptions, segmenters: Sequence[Segmenter]) -> Trial:
    """Read a page one way up with one segmenter after another, until there is no doubt; return the best reading."""
    with clock.stage("measure"):
        measured = measure_page(scaled, options)
    best: Trial | None = None
    refusal: PageError | None = None
    for segmenter in segmenters:
        try:
            trial = _read_measured(measured, segmenter, options, clock)
        except PageError as error:
            refusal = error if refusal is None or isinstance(error, UprightPageError) else refusal
            continue
        if best is not None:
            trial = Trial(better_of(best.result, trial.result), best.names | trial.names)
        best = trial
        if beyond_doubt(best.result):
            break
    if best is None:
        assert refusal is not None
        raise refusal
    return replace(best, result=replace(best.result, seconds=clock.seconds))


def _read_measured(measured: MeasuredPage, segmenter: Segmenter, options: ReadingOptions, clock: Clock) -> Trial:
    """Read a page one way up with one segmenter, straight down from its pixels to its recording."""
    working, scale = measured.working, measured.working.px_per_mm
    with clock.stage("segment"):
        probabilities = segment(segmenter, measured.network_image)
    with clock.stage("ink"):
        ink = find_ink(working.image, probabilities)
    with clock.stage("trace"):
        lines = trace_page(ink.trace, working.pulses, scale)
    with clock.stage("measure"):
        calibration = weigh_speed(measured.calibration, measure_heart_rate(lines.raster.y_mm, RASTER_MM))
    with clock.stage("leads"):
        words = read_words(ink.every, probabilities, lines.rows, scale)
        names = readable_names(words)
        try:
            assignment = find_leads(LabelledRows(lines.raster, words, calibration.speed_mm_per_s), options.layout)
        except PageError as error:
            raise UprightPageError(str(error)) if len(names) >= UPRIGHT_NAMES else error from None
        settled = settle_on_separators(assignment.spans, ink.every, lines.levels_px, scale)
        polylines = part_leads(ink.trace, lines.rows, lines.polylines, settled.spans, scale, lines.pen_px)
        polylines = bridge_bars(ink.trace, lines.rows, polylines, settled.bars, scale, lines.pen_px)
    with clock.stage("recording"):
        signal = vectorize(polylines, settled.spans, scale.y * calibration.gain_mm_per_mv, options.fs_hz)
        assignment = replace(assignment, spans=settled.spans)
        result = conclude(measured, calibration, lines, polylines, assignment, Recording(signal, options.fs_hz))
    return Trial(result, names)
