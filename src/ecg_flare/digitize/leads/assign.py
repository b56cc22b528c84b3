"""Which lead stands where: rows and columns of the page matched to a layout of page/layouts.

Every layout that has as many rows as were found is scored by what was read and what was recorded: the labels at its
places, the identities between limb leads that it prints at the same time, the short leads that its rhythm strips
repeat, and whether beats change where it has a border and nowhere else. Without evidence there is no confidence: a page
that only has the right number of rows is reported as unsure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.confidence import (
    CONFIDENT,
    CROWDED,
    GIVEN_LAYOUT,
    REFUTED,
    UNOPPOSED,
    LayoutEvidence,
    layout_confidence,
)
from ecg_flare.digitize.leads.bars import Bar
from ecg_flare.digitize.leads.column_times import ColumnTimes, column_times
from ecg_flare.digitize.leads.columns_evidence import BeatsOf, columns_evidence, one_lead_evidence
from ecg_flare.digitize.leads.extra_leads import name_extra_leads
from ecg_flare.digitize.leads.label_evidence import label_evidence
from ecg_flare.digitize.leads.labelled_rows import LabelledRows, signal_of
from ecg_flare.digitize.leads.layout_doubts import guess_doubt, layout_doubt
from ecg_flare.digitize.leads.lead_span import LeadSpan, goes_on
from ecg_flare.digitize.leads.physiology import limb_consistency_db
from ecg_flare.digitize.leads.placement import place_layout
from ecg_flare.digitize.leads.row_beats import beat_together, find_beats
from ecg_flare.digitize.leads.strips import name_strips, worst_strip_db
from ecg_flare.digitize.trace.raster import RowRaster
from ecg_flare.ecg.leads import ALL_LEADS, EXTRA_LEADS, LEADS
from ecg_flare.page.layout import Layout, is_yaml_file, layout_names, load_layout

PHYSIOLOGY_PIVOT_DB: Final = 12.0  # limb leads that agree better speak for a layout, less against it
PHYSIOLOGY_SCALE_DB: Final = 3.0
PHYSIOLOGY_WEIGHT: Final = 2.0  # nats
PHYSIOLOGY_LIMIT: Final = 3.0


@dataclass(frozen=True)
class Assignment:
    """The layout found, its leads' places, how sure that is (0 to 1), and what speaks for it.

    `bars` are those that hide a part of the leads, in the pixels of the spans. `duration_s` is how long the layout's
    rows are; None where labels alone named them.
    """

    layout: str
    spans: tuple[LeadSpan, ...]
    confidence: float
    columns: ColumnTimes
    evidence: LayoutEvidence
    warnings: tuple[str, ...] = ()
    bars: tuple[Bar, ...] = ()
    duration_s: float | None = None


def assign(page: LabelledRows, layout: str = "auto") -> Assignment | None:
    """Return the layout that fits best, or None if no layout has as many rows (or the one that was asked for).

    `layout` is "auto", a layout of the package or the path of a YAML file, whose strips' names are taken as they are.
    """
    n_rows = len(page.rows.level_px)
    names = layout_names() if layout == "auto" else (layout,)
    fitting = [candidate for candidate in map(load_layout, names) if len(candidate.rows) == n_rows]
    if not fitting:
        return None
    beats_of = cache(partial(find_beats, page.rows, page.speed_mm_per_s))
    found = [_try(page, candidate, beats_of, named=is_yaml_file(layout)) for candidate in fitting]
    scores = np.array([score for score, _ in found])
    best = int(scores.argmax())
    assignment = _with_rows(found[best][1], page)
    if layout != "auto":
        return judge_given(assignment)
    others = np.delete(scores, best)
    margin = float(scores[best] - others.max()) if len(others) else 0.0
    return _judged(assignment, margin)


def _try(page: LabelledRows, layout: Layout, beats_of: BeatsOf, *, named: bool) -> tuple[float, Assignment]:
    """Lay one layout over the page; return its score in nats, and the assignment without its confidence."""
    printed = page.naming(ALL_LEADS if set(layout.leads) & set(EXTRA_LEADS) else LEADS)
    spans = place_layout(printed, layout)
    spans = spans if named else name_extra_leads(printed, spans)
    labels = label_evidence(printed, spans)
    own_columns = one_lead_evidence(page) if goes_on(spans) else columns_evidence(printed, spans, beats_of)
    spans = spans if named else name_strips(page, spans)
    limb_db = limb_consistency(page.rows, spans)
    score = labels.score + own_columns.score
    if limb_db is not None:
        nats = np.clip((limb_db - PHYSIOLOGY_PIVOT_DB) / PHYSIOLOGY_SCALE_DB, -PHYSIOLOGY_LIMIT, PHYSIOLOGY_LIMIT)
        score += PHYSIOLOGY_WEIGHT * float(nats)
    reading = column_times(page.rows, spans, page.speed_mm_per_s)
    columns = reading.times
    if columns == "simultaneous":
        spans = tuple(replace(span, start_s=0.0, end_s=span.duration_s) for span in spans)
    strip_db = worst_strip_db(page.rows, spans) if columns == "consecutive" else None
    evidence = LayoutEvidence(
        labels_read=labels.read,
        labels_agreeing=labels.agreeing,
        limb_db=limb_db,
        strip_db=strip_db,
        places=len(spans),
        columns_agree=True if own_columns.agree else False if own_columns.disagree else None,
        imitated=own_columns.imitated,
        unwitnessed=own_columns.unwitnessed,
        times_known=reading.sure,
        guessed=tuple(span.lead for span in spans if span.guessed),
    )
    return score, Assignment(layout.name, spans, 0.0, columns, evidence, duration_s=layout.duration_s)


def _with_rows(assignment: Assignment, page: LabelledRows) -> Assignment:
    """Return the assignment with what its rows say whatever the layout: when they beat, and how near they stand."""
    together = None if goes_on(assignment.spans) else beat_together(page.rows, page.speed_mm_per_s)
    spacing = np.diff(page.rows.level_px)
    crowded = len(spacing) > 1 and float(spacing.min()) < CROWDED * float(np.median(spacing))
    return replace(assignment, evidence=replace(assignment.evidence, together=together, crowded=crowded))


def limb_consistency(rows: RowRaster, spans: Sequence[LeadSpan]) -> float | None:
    """Return the least consistency, in dB, of the groups of limb leads that stand one above the other."""
    short = [span for span in spans if not span.is_rhythm]
    groups: dict[tuple[float, float], dict[str, Float64[np.ndarray, " n"]]] = {}
    for span in short or spans:
        groups.setdefault((round(span.left_px, 1), round(span.right_px, 1)), {})[span.lead] = signal_of(rows, span)
    found = [limb_consistency_db(group) for group in groups.values()]
    known = [value for value in found if value is not None]
    return min(known, default=None)


def _judged(assignment: Assignment, margin: float) -> Assignment:
    """Return the assignment with its confidence, and with a sentence for every doubt."""
    evidence, guesses = assignment.evidence, guess_doubt(assignment.spans)
    confidence = layout_confidence(evidence, margin)
    sure = layout_confidence(replace(evidence, guessed=()), margin) >= CONFIDENT
    warnings = guesses if sure else (layout_doubt(assignment.layout, evidence), *guesses)
    return replace(assignment, confidence=confidence, warnings=warnings)


def judge_given(assignment: Assignment) -> Assignment:
    """Return the assignment of a layout that a person gave: it is doubted where evidence speaks against it."""
    judged = _judged(assignment, 0.0)
    if assignment.evidence.opposed or judged.confidence < UNOPPOSED:
        return judged
    guesses = guess_doubt(assignment.spans)
    if not assignment.evidence.times_known:
        return replace(judged, confidence=REFUTED)
    return replace(judged, confidence=REFUTED if guesses else GIVEN_LAYOUT, warnings=guesses)
