"""A page image goes in, a recording comes out and says how sure it is: the stages of the design, one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.choice import better_of, beyond_doubt
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.extraction import find_ink
from ecg_flare.digitize.ink.probabilities import Probabilities
from ecg_flare.digitize.ink.segmenters import AUTO, Segmenter, segment
from ecg_flare.digitize.leads.assign import GRID_STEP_MM, Assignment, PageRows, assign, sample_rows
from ecg_flare.digitize.leads.borders import part_leads
from ecg_flare.digitize.leads.by_labels import assign_by_labels
from ecg_flare.digitize.leads.checks import ConsistencyChecks, check_consistency, count_gaps, shared_share
from ecg_flare.digitize.leads.labels import read_words, readable_names
from ecg_flare.digitize.leads.separators import settle_on_separators
from ecg_flare.digitize.leads.spans import find_span, without_pulses
from ecg_flare.digitize.leads.vectorize import vectorize
from ecg_flare.digitize.measure.calibrate import calibrate
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.measure.given import given_measures
from ecg_flare.digitize.measure.heart_rate import measure_heart_rate
from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measure.scaled_page import ScaledPage, stand_upright
from ecg_flare.digitize.measure.speed_prior import weigh_speed
from ecg_flare.digitize.measure.working_page import at_network_scale, at_trace_scale, to_page
from ecg_flare.digitize.rectify.normalize import NormalizedPage, normalize
from ecg_flare.digitize.result import CONFIDENT, OVERLAPPING, WHOLE, Digitization
from ecg_flare.digitize.trace.refine import pen_px, refine_row
from ecg_flare.digitize.trace.rows import trace_rows
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import ConfigError, PageError
from ecg_flare.page.layout import load_layout

SURE_LAYOUT: Final = 0.5
UPRIGHT_NAMES: Final = 2  # on real pages not one was read the wrong way up
FS_RANGE_HZ: Final = (50.0, 5000.0)


def digitize(
    image: UInt8[np.ndarray, "h w 3"],
    *,
    segmenter: Segmenter | Sequence[Segmenter] | None = None,
    layout: str = "auto",
    speed: float | Literal["auto"] = "auto",
    gain: float | Literal["auto"] = "auto",
    px_per_mm: float | tuple[float, float] | None = None,
    fs_hz: float = 500.0,
) -> Digitization:
    """Read a page image (RGB, any orientation and resolution) into a 12-lead recording.

    `segmenter` is any callable as in ink/segmenters.py, or several: they are tried in turn until a reading leaves no
    doubt, and the best one is kept. None takes those of "auto". `layout`, `speed` (mm/s), `gain` (mm/mV) and
    `px_per_mm` are measured unless given. Raises PageError if this is no ECG page or has no measure, ConfigError or
    LayoutError for a wrong setting.
    """
    check_options(layout, speed, gain, px_per_mm, fs_hz)
    segmenters = load_segmenters(AUTO) if segmenter is None else segmenter
    segmenters = (segmenters,) if callable(segmenters) else tuple(segmenters)
    settings = _Settings(segmenters, layout, speed, gain, px_per_mm, fs_hz)
    best: _Reading | None = None
    refusal: PageError | None = None
    for quarter_turns in (0, 1, 3):
        try:
            reading = _read_either_way_up(np.ascontiguousarray(np.rot90(image, quarter_turns)), settings)
        except _UprightPageError:
            raise
        except PageError as error:
            if quarter_turns == 0:
                refusal = error
            continue
        if quarter_turns:
            reading = replace(reading, result=_turned_by(reading.result, image.shape[:2], quarter_turns))
        if best is None or reading.beats(best):
            best = reading
        if best.is_upright:
            break
    if refusal is not None and (best is None or not best.is_upright):
        raise refusal  # what is refused as it lies, and makes no sense on its side either
    assert best is not None
    return best.result


@dataclass(frozen=True)
class _Settings:
    segmenters: tuple[Segmenter, ...]
    layout: str
    speed: float | Literal["auto"]
    gain: float | Literal["auto"]
    px_per_mm: float | tuple[float, float] | None
    fs_hz: float


def check_options(
    layout: str,
    speed: float | Literal["auto"],
    gain: float | Literal["auto"],
    px_per_mm: float | tuple[float, float] | None,
    fs_hz: float,
) -> None:
    """Raise LayoutError or ConfigError for options of `digitize` that are wrong for every page."""
    if not FS_RANGE_HZ[0] <= fs_hz <= FS_RANGE_HZ[1]:
        raise ConfigError(f"fs_hz is {fs_hz}; expected {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g} samples a second.")
    if layout != "auto":
        load_layout(layout)
    given_measures(speed, gain, px_per_mm)


class _UprightPageError(PageError):
    """A refusal of a page whose leads' names can be read, so that no other way up is worth a trial."""


@dataclass(frozen=True)
class _Reading:
    """A page read one way up; `names` are the leads' names seen anywhere on it that read only that way (no I, II)."""

    result: Digitization
    names: frozenset[str]

    @property
    def is_upright(self) -> bool:
        """Whether other ways up need no trial."""
        sure = self.result.layout_confidence >= SURE_LAYOUT or self.result.page.upright_confidence > 0.9
        return sure or len(self.names) >= UPRIGHT_NAMES

    def beats(self, other: _Reading) -> bool:
        """Whether this way up makes clearly more sense."""
        if abs(len(self.names) - len(other.names)) >= UPRIGHT_NAMES:
            return len(self.names) > len(other.names)
        return self.result.confidence > other.result.confidence + 0.1


def _read_either_way_up(image: UInt8[np.ndarray, "h w 3"], settings: _Settings) -> _Reading:
    clock = _Clock()
    with clock.stage("normalize"):
        scaled = stand_upright(normalize(image))
    refusal: PageError | None = None
    reading: _Reading | None = None
    try:
        reading = _read_page(scaled, settings, clock)
    except PageError as error:
        if scaled.page.upright_confidence > 0.9 or isinstance(error, _UprightPageError):
            raise
        refusal = error
    if reading is not None and reading.is_upright:
        return reading
    try:
        other = _read_page(scaled.rotated_180(), settings, _Clock(clock.seconds))
    except PageError as error:
        if reading is None:
            raise refusal or error from None
        return reading
    return other if reading is None or other.beats(reading) else reading


def _read_page(scaled: ScaledPage, settings: _Settings, clock: _Clock) -> _Reading:
    """Read a page one way up with one segmenter after another, until there is no doubt; return the best reading."""
    with clock.stage("calibrate"):
        calibration = calibrate(scaled, speed=settings.speed, gain=settings.gain, px_per_mm=settings.px_per_mm)
    small = at_network_scale(scaled.page.image, calibration.px_per_mm)
    sheet = _sheet(scaled.page, calibration, clock)
    best: _Reading | None = None
    refusal: PageError | None = None
    for segmenter in settings.segmenters:
        try:
            with clock.stage("segment"):
                probabilities = segment(segmenter, small)
            reading = _read_by(probabilities, sheet, settings, clock)
        except PageError as error:
            refusal = error if refusal is None or isinstance(error, _UprightPageError) else refusal
            continue
        if best is not None:
            reading = _Reading(better_of(best.result, reading.result), best.names | reading.names)
        best = reading
        if beyond_doubt(best.result):
            break
    if best is None:
        assert refusal is not None
        raise refusal
    return replace(best, result=replace(best.result, seconds=MappingProxyType(dict(clock.seconds))))


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What is known of a page before a segmenter is asked.

    image: the page at the scale that lines are followed at, which is `shrink` times the page's own in x and y.
    scale: pixels a millimetre of `image`, in x and y.
    """

    page: NormalizedPage
    calibration: Calibration
    image: UInt8[np.ndarray, "h w 3"]
    shrink: tuple[float, float]
    scale: tuple[float, float]
    pulses: tuple[Pulse, ...]


def _sheet(page: NormalizedPage, calibration: Calibration, clock: _Clock) -> _Sheet:
    with clock.stage("calibrate"):
        working = at_trace_scale(page.image, calibration.px_per_mm)
    unit = working.px_per_mm
    return _Sheet(page, calibration, working.image, working.shrink, (unit.x, unit.y), working.pulses)


def _read_by(probabilities: Probabilities, sheet: _Sheet, settings: _Settings, clock: _Clock) -> _Reading:
    scale = sheet.scale
    with clock.stage("suppress"):
        ink = find_ink(sheet.image, probabilities)
    with clock.stage("trace"):
        rows = trace_rows(without_pulses(ink.trace, sheet.pulses, scale[0]), *scale)
        if not rows:
            raise PageError("No ECG trace was found on this page: no line is 20 mm long.")
        pen = pen_px(rows)
        polylines = tuple(refine_row(row, pen) for row in rows)
    with clock.stage("assign"):
        words = read_words(ink.every, probabilities, rows, *scale)
        span = find_span(rows, sheet.pulses, ink.trace, scale[0])
        levels = [row.level_px for row in rows]
        sampled = sample_rows(polylines, levels, words, span, scale, sheet.calibration.speed_mm_per_s)
        calibration = weigh_speed(sheet.calibration, measure_heart_rate(sampled.y_mm, GRID_STEP_MM))
        sampled = replace(sampled, speed_mm_per_s=calibration.speed_mm_per_s)
        names = readable_names(words)
        try:
            assignment = _assign(sampled, settings.layout)
        except PageError as error:
            raise _UprightPageError(str(error)) if len(names) >= UPRIGHT_NAMES else error from None
        spans = settle_on_separators(assignment.spans, ink.every, levels, scale)
        assignment = replace(assignment, spans=spans)
    with clock.stage("vectorize"):
        polylines = part_leads(ink.trace, rows, polylines, assignment.spans, scale, pen)
        signal = vectorize(polylines, assignment.spans, scale[1], calibration.gain_mm_per_mv, settings.fs_hz)
        recording = Recording(signal, settings.fs_hz)
        checks = check_consistency(recording, sampled, assignment.spans)
    shared = tuple(shared_share(rows[span.row], span) for span in assignment.spans)
    result = _result(
        sheet.page, calibration, sampled, polylines, shared, assignment, recording, checks, sheet.shrink, clock
    )
    return _Reading(result, names)


def _assign(sampled: PageRows, layout: str) -> Assignment:
    assignment = assign(sampled, layout)
    if assignment is not None:
        return assignment
    if layout != "auto":
        raise PageError(
            f"Layout {layout} has {len(load_layout(layout).rows)} rows, but {len(sampled.level_px)} were found on this "
            "page; give another layout, or leave it to be measured."
        )
    return assign_by_labels(sampled)


def _result(
    page: NormalizedPage,
    calibration: Calibration,
    sampled: PageRows,
    polylines: tuple[Float64[np.ndarray, "k 2"], ...],
    shared: tuple[float, ...],
    assignment: Assignment,
    recording: Recording,
    checks: ConsistencyChecks,
    shrink: tuple[float, float],
    clock: _Clock,
) -> Digitization:
    spans = tuple(
        replace(span, left_px=to_page(span.left_px, shrink[0]), right_px=to_page(span.right_px, shrink[0]))
        for span in assignment.spans
    )
    printed = np.isfinite(sampled.y_mm).mean()
    gaps = tuple(count_gaps(polylines[span.row], span) for span in assignment.spans)
    warnings: list[str] = []
    confidence = min(calibration.confidence, assignment.confidence)
    if checks.passed is False:
        warnings.append(f"the leads contradict each other ({_describe(checks)}): a lead or the layout may be wrong")
        confidence *= 0.7
    warnings += assignment.warnings
    if printed < 0.9:
        warnings.append(f"only {printed:.0%} of the rows' length shows a trace")
        confidence *= printed
    broken = [span.title for span, count in zip(spans, gaps, strict=True) if count]
    if broken:
        warnings.append(f"the line is broken in {', '.join(broken)}: peaks may be missing there")
        confidence *= 1.0 - 0.5 * len(broken) / len(spans)
    overlapping = [span.title for span, share in zip(spans, shared, strict=True) if share > OVERLAPPING]
    if overlapping:
        warnings.append(f"rows run into each other at {', '.join(overlapping)}: peaks there may be another lead's")
        confidence *= 1.0 - 0.5 * len(overlapping) / len(spans)
    warnings += [*calibration.warnings, *page.warnings]
    if confidence < CONFIDENT and not warnings:
        warnings.append(f"the confidence of this reading is low ({confidence:.2f})")
    result = Digitization(
        recording=recording,
        page=page,
        calibration=calibration,
        layout=assignment.layout,
        layout_confidence=assignment.confidence,
        columns=assignment.columns,
        spans=spans,
        gaps=gaps,
        shared=shared,
        polylines=tuple(np.stack([to_page(line[:, k], shrink[k]) for k in (0, 1)], axis=1) for line in polylines),
        checks=checks,
        confidence=float(confidence),
        warnings=tuple(dict.fromkeys(warnings)),
        seconds=MappingProxyType(dict(clock.seconds)),
    )
    cut = [f"{lead} ({share:.0%})" for lead, share in result.coverage.items() if share < WHOLE]
    if not cut:
        return result
    return replace(result, warnings=(f"only a part could be read of {', '.join(cut)}", *result.warnings))


def _describe(checks: ConsistencyChecks) -> str:
    parts = [
        f"{name} leaves {value:.0%} of the leads, not 0"
        for name, value in (("I + III - II", checks.einthoven), ("aVR + aVL + aVF", checks.goldberger))
        if value is not None
    ]
    if checks.rhythm_correlation is not None:
        parts.append(f"the rhythm strip's correlation with its short lead is {checks.rhythm_correlation:.2f}, not 1")
    return "; ".join(parts)


def _turned_by(found: Digitization, shape: tuple[int, int], quarter_turns: int) -> Digitization:
    """Let the homography begin at the picture as it was handed in, before its turn."""
    height, width = shape
    turn = {
        1: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, width - 1.0], [0.0, 0.0, 1.0]]),
        3: np.array([[0.0, -1.0, height - 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    }[quarter_turns]
    page = replace(
        found.page,
        homography=found.page.homography @ turn,
        rotation_deg=found.page.rotation_deg + (90.0 if quarter_turns == 3 else -90.0),
    )
    return replace(found, page=page)


class _Clock:
    """Seconds by stage, added up."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun
