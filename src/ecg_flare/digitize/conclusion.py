"""All that was found on a page put together: its recording, its confidence, and a sentence for every doubt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.confidence import (
    BENT,
    BLACK_AND_WHITE,
    CONFIDENT,
    INKED,
    OVERLAPPING,
    WHOLE,
    PageEvidence,
    page_confidence,
)
from ecg_flare.digitize.leads.assign import Assignment
from ecg_flare.digitize.leads.checks import check_consistency
from ecg_flare.digitize.leads.lead_reading import LeadReading, read_lead
from ecg_flare.digitize.leads.signal_evidence import signal_evidence
from ecg_flare.digitize.leads.unread_rows import unread_rows
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.measure.working_page import to_page
from ecg_flare.digitize.measured_page import MeasuredPage
from ecg_flare.digitize.rectify.normalize import NormalizedPage
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.signal_confidence import signal_confidence
from ecg_flare.digitize.signal_doubts import signal_doubts
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.ecg.record import Recording


def conclude(
    measured: MeasuredPage,
    calibration: Calibration,
    lines: PageLines,
    polylines: Sequence[Float64[np.ndarray, "k 2"]],
    assignment: Assignment,
    recording: Recording,
) -> Digitization:
    """Return the reading of a page, all pixels in those of the page; its seconds are still to be filled in.

    `calibration` is the final one, `polylines` are the rows' lines with neighbouring leads told apart.
    """
    shrink = measured.working.shrink
    px_per_mv = measured.working.px_per_mm.y * calibration.gain_mm_per_mv
    checks = check_consistency(recording, lines.raster, assignment.spans, px_per_mv)
    noise = signal_evidence(recording, lines, assignment, calibration, measured.page.bend)
    signal = signal_confidence(noise)
    leads = tuple(read_lead(span, lines.rows[span.row], polylines[span.row], recording) for span in assignment.spans)
    missing = unread_rows(measured.working.pulses, lines.levels_px, measured.working.px_per_mm.y)
    evidence = PageEvidence(
        calibration=calibration.confidence,
        layout=assignment.confidence,
        checks_passed=checks.passed,
        inked=lines.raster.inked,
        n_leads=len(leads),
        n_broken=sum(lead.gaps > 0 for lead in leads),
        unread_rows=len(missing),
    )
    sure = page_confidence(evidence)
    result = Digitization(
        recording=recording,
        page=measured.page,
        calibration=calibration,
        layout=assignment.layout,
        layout_confidence=assignment.confidence,
        columns=assignment.columns,
        leads=tuple(_on_page(lead, shrink[0]) for lead in leads),
        polylines=tuple(measured.working.on_page(line) for line in polylines),
        checks=checks,
        signal=signal,
        confidence=min(sure, signal.value, _most(measured.page)),
        confidence_but_for_signal=sure,
        warnings=(),
        seconds=MappingProxyType({}),
    )
    page_doubts = _page_doubts(result, evidence, assignment.warnings)
    doubts = (*page_doubts, *signal_doubts(noise, signal, calibration))
    found = (*doubts, *calibration.warnings, *measured.page.warnings)
    if result.confidence < CONFIDENT and not found:
        found = (f"the confidence of this reading is low ({result.confidence:.2f})",)
    return replace(result, warnings=(*_coverage_doubts(result), *dict.fromkeys(found)))


def _most(page: NormalizedPage) -> float:
    """Return how sure the reading of such a page can be at most."""
    return min(1.0 if page.flattened_mm is None else BENT, BLACK_AND_WHITE if page.two_tones else 1.0)


def _on_page(lead: LeadReading, shrink: float) -> LeadReading:
    """Return the reading with its span in the page's own pixels."""
    span = lead.span
    left, right = to_page(span.left_px, shrink), to_page(span.right_px, shrink)
    return replace(lead, span=replace(span, left_px=left, right_px=right))


def _page_doubts(result: Digitization, evidence: PageEvidence, layout_doubts: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each reason why `page_confidence` is less than that of the scale or of the layout."""
    if result.checks.passed is False:
        yield f"the leads contradict each other ({result.checks.summary}): a lead or the layout may be wrong"
    yield from layout_doubts
    if evidence.unread_rows:
        rows = "a row" if evidence.unread_rows == 1 else f"{evidence.unread_rows} rows"
        yield f"{rows} with a calibration pulse and no line: what stands there was not read"
    if evidence.inked < INKED:
        yield f"only {evidence.inked:.0%} of the rows' length shows a trace"
    broken = [lead.span.title for lead in result.leads if lead.gaps]
    if broken:
        yield f"the line is broken in {', '.join(broken)}: peaks may be missing there"
    overlapping = [lead.span.title for lead in result.leads if lead.shared > OVERLAPPING]
    if overlapping:
        yield f"rows run into each other at {', '.join(overlapping)}: peaks there may be another lead's"


def _coverage_doubts(result: Digitization) -> Iterator[str]:
    cut = [f"{lead} ({share:.0%})" for lead, share in result.coverage.items() if share < WHOLE]
    if cut:
        yield f"only a part could be read of {', '.join(cut)}"
