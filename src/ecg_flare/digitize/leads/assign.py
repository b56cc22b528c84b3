"""Which lead stands where: rows and columns of the page matched to a layout of page/layouts.

Every layout that has as many rows as were found is scored by three kinds of evidence: the labels that were read at its
places, the identities between limb leads that it prints at the same time, and the short leads that its rhythm strips
repeat. Without evidence there is no confidence: a page that only has the right number of rows is reported as unsure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.confidence import CONFIDENT, GIVEN_LAYOUT, UNOPPOSED, LayoutEvidence, layout_confidence
from ecg_flare.digitize.leads.column_times import ColumnTimes, column_times
from ecg_flare.digitize.leads.label_evidence import label_evidence
from ecg_flare.digitize.leads.labelled_rows import LabelledRows, signal_of
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.physiology import limb_consistency_db
from ecg_flare.digitize.leads.placement import place_layout
from ecg_flare.digitize.leads.strips import name_strips, worst_strip_db
from ecg_flare.digitize.trace.raster import RowRaster
from ecg_flare.page.layout import Layout, layout_names, load_layout

PHYSIOLOGY_PIVOT_DB: Final = 12.0  # limb leads that agree better speak for a layout, less against it
PHYSIOLOGY_SCALE_DB: Final = 3.0
PHYSIOLOGY_WEIGHT: Final = 2.0  # nats
PHYSIOLOGY_LIMIT: Final = 3.0


@dataclass(frozen=True)
class Assignment:
    """The layout found, its leads' places, how sure that is (0 to 1), and what speaks for it."""

    layout: str
    spans: tuple[LeadSpan, ...]
    confidence: float
    columns: ColumnTimes
    evidence: LayoutEvidence
    warnings: tuple[str, ...] = ()


def assign(page: LabelledRows, layout: str = "auto") -> Assignment | None:
    """Return the layout that fits best, or None if no layout has as many rows (or the one that was asked for)."""
    n_rows = len(page.rows.level_px)
    names = layout_names() if layout == "auto" else (layout,)
    fitting = [load_layout(name) for name in names if len(load_layout(name).rows) == n_rows]
    if not fitting:
        return None
    found = [_try(page, candidate) for candidate in fitting]
    scores = np.array([score for score, _ in found])
    best = int(scores.argmax())
    assignment = found[best][1]
    if layout != "auto":
        judged = _judged(assignment, 0.0)
        sure = judged.confidence >= UNOPPOSED
        return replace(judged, confidence=GIVEN_LAYOUT, warnings=()) if sure else judged
    others = np.delete(scores, best)
    margin = float(scores[best] - others.max()) if len(others) else np.inf
    return _judged(assignment, margin)


def _try(page: LabelledRows, layout: Layout) -> tuple[float, Assignment]:
    """Lay one layout over the page; return its score in nats, and the assignment without its confidence."""
    spans = place_layout(page, layout)
    labels = label_evidence(page, spans)
    limb_db = limb_consistency(page.rows, spans)
    score = labels.score
    if limb_db is not None:
        nats = np.clip((limb_db - PHYSIOLOGY_PIVOT_DB) / PHYSIOLOGY_SCALE_DB, -PHYSIOLOGY_LIMIT, PHYSIOLOGY_LIMIT)
        score += PHYSIOLOGY_WEIGHT * float(nats)
    spans = name_strips(page, spans)
    columns = column_times(page.rows, spans, page.speed_mm_per_s)
    if columns == "simultaneous":
        spans = tuple(replace(span, start_s=0.0, end_s=span.duration_s) for span in spans)
    strip_db = worst_strip_db(page.rows, spans) if columns == "consecutive" else None
    evidence = LayoutEvidence(labels.read, labels.agreeing, limb_db, strip_db)
    return score, Assignment(layout.name, spans, 0.0, columns, evidence)


def limb_consistency(rows: RowRaster, spans: Sequence[LeadSpan]) -> float | None:
    """Return the least consistency, in dB, of the groups of limb leads that stand one above the other."""
    groups: dict[tuple[float, float], dict[str, Float64[np.ndarray, " n"]]] = {}
    for span in spans:
        if not span.is_rhythm:
            groups.setdefault((round(span.left_px, 1), round(span.right_px, 1)), {})[span.lead] = signal_of(rows, span)
    found = [limb_consistency_db(group) for group in groups.values()]
    known = [value for value in found if value is not None]
    return min(known, default=None)


def _judged(assignment: Assignment, margin: float) -> Assignment:
    """Return the assignment with its confidence, and with a warning where that is low."""
    evidence = assignment.evidence
    confidence = layout_confidence(evidence, margin)
    if confidence >= CONFIDENT:
        return replace(assignment, confidence=confidence)
    limbs = "cannot be checked" if evidence.limb_db is None else f"agree to {evidence.limb_db:.0f} dB"
    warning = (
        f"Layout {assignment.layout} is uncertain: {evidence.labels_agreeing} of {evidence.labels_read} labels "
        f"that were read agree, limb leads {limbs}; check it, or give the layout by option."
    )
    return replace(assignment, confidence=confidence, warnings=(warning,))
