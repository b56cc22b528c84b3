"""Rhythm strips: named by their labels and by the short lead that they repeat, and held against all short leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.confidence import LIMBS_AGREE_DB, MIN_STRIP_DB
from ecg_flare.digitize.leads.label_evidence import name_likelihood
from ecg_flare.digitize.leads.labelled_rows import LabelledRows, signal_of, strip_at
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.physiology import limb_consistency_db, repeat_db
from ecg_flare.digitize.trace.raster import RASTER_MM, RowRaster
from ecg_flare.ecg.leads import ALL_LEADS, LIMB_LEADS

REPEAT_DB: Final = 2.0  # by which a strip repeats a lead better are worth one nat of its label
LOST_STROKE: Final = {"I": {"I": 0.9, "II": 0.08, "III": 0.02}, "II": {"II": 0.95, "III": 0.05}}
"""What a label that reads so may be: a stroke is lost at the page's edge or under a trace."""
CLEAR_REPEAT_DB, CLEAR_LEAD_DB = 10.0, 6.0  # a strip is a lead that it repeats so well, and so much better than others
MIN_READ: Final = 2
PULSE_SLACK: Final = round(1.0 / RASTER_MM)
SAME_INK_DB: Final = 20.0
MIN_MARGIN, MARGIN_ALONE = 0.03, 0.1  # by which a label fits its name best, beside short leads and where it is all


def name_strips(page: LabelledRows, spans: Sequence[LeadSpan]) -> tuple[LeadSpan, ...]:
    """Name every rhythm strip: by the short lead that it repeats, weighed with the label that was read beside it.

    A name that neither says clearly is marked as a guess.
    """
    named: list[LeadSpan] = []
    for span in spans:
        if span.is_rhythm:
            span = _named(page, span, spans)
        named.append(span)
    return _settled_by_identities(page.rows, named)


def _named(page: LabelledRows, span: LeadSpan, spans: Sequence[LeadSpan]) -> LeadSpan:
    word = page.word_at(span)
    score = np.log((np.full(len(ALL_LEADS), 1 / len(ALL_LEADS)) if word is None else _label_says(word)) + 1e-3)
    score[ALL_LEADS.index(span.lead)] += 1.0
    repeats = _repeats(page.rows, span, spans)
    for lead, decibels in repeats.items():
        score[ALL_LEADS.index(lead)] += max(0.0, decibels - MIN_STRIP_DB) / REPEAT_DB
    lead = ALL_LEADS[int(score.argmax())]
    margin = MIN_MARGIN if repeats else MARGIN_ALONE
    read = word is not None and word.best == lead and word.margin > margin and word.n_letters > 1
    return replace(span, lead=lead, guessed=not (read or _clear(repeats, lead)))


def _label_says(word: Word) -> Float64[np.ndarray, " names"]:
    """Return how likely each name is to have been printed, where a stroke of "II" or "III" may be lost."""
    likely = name_likelihood(word)
    for read, printed in LOST_STROKE.items():
        share = likely[ALL_LEADS.index(read)] if word.best == read else 0.0
        likely[ALL_LEADS.index(read)] -= share
        for name, part in printed.items():
            likely[ALL_LEADS.index(name)] += part * share
    return likely


def _repeats(rows: RowRaster, strip: LeadSpan, spans: Sequence[LeadSpan]) -> Mapping[str, float]:
    """Return how well a strip repeats each short lead, in dB."""
    found = {span.lead: _repeat_db(rows, strip, span) for span in spans if not span.is_rhythm}
    return {lead: value for lead, value in found.items() if value is not None}


def _repeat_db(rows: RowRaster, strip: LeadSpan, short: LeadSpan) -> float | None:
    """Return how well a strip repeats a short lead, in dB; after a pulse that touches it a lead begins within 1 mm."""
    line, signal = strip_at(rows, strip, short), signal_of(rows, short)
    steps = range(-PULSE_SLACK, PULSE_SLACK + 1) if rows.span.gaps else (0,)
    found = [repeat_db(np.roll(line, step), signal) for step in steps]
    return max((value for value in found if value is not None), default=None)


def _clear(repeats: Mapping[str, float], lead: str) -> bool:
    others = max((value for other, value in repeats.items() if other != lead), default=-np.inf)
    own = repeats.get(lead, -np.inf)
    return own >= CLEAR_REPEAT_DB and own - others >= CLEAR_LEAD_DB


def _settled_by_identities(rows: RowRaster, spans: Sequence[LeadSpan]) -> tuple[LeadSpan, ...]:
    """Return the spans of a page of strips alone; a limb lead between two that were read is settled by identities.

    They alone name none: aVL, I and -aVR obey those of I, II and III.
    """
    limbs = [span for span in spans if span.lead in LIMB_LEADS]
    read = sum(not span.guessed for span in limbs)
    alone = all(span.is_rhythm for span in spans)
    if not alone or read < MIN_READ or len({span.lead for span in limbs}) < len(limbs):
        return tuple(spans)
    obeyed = limb_consistency_db({span.lead: signal_of(rows, span) for span in limbs})
    if obeyed is None or obeyed < LIMBS_AGREE_DB:
        return tuple(spans)
    return tuple(replace(span, guessed=span.guessed and span not in limbs) for span in spans)


def worst_strip_db(rows: RowRaster, spans: Sequence[LeadSpan]) -> float | None:
    """Return how well the worst rhythm strip repeats any short lead, in dB.

    Strips of leads that have no short stretch at their time repeat nothing. A strip that repeats leads of two columns
    as ink repeats itself is a row that was found twice, and counts as 0 dB. None where there is nothing to repeat.
    """
    short = [span for span in spans if not span.is_rhythm]
    found = []
    for span in spans:
        beside = [other for other in short if other.meets(span)]
        if span.is_rhythm and any(other.lead == span.lead for other in beside):
            repeats = [
                (repeat_db(strip_at(rows, span, other), signal_of(rows, other)) or 0.0, other) for other in beside
            ]
            same = {round(other.left_px, 1) for value, other in repeats if value > SAME_INK_DB}
            found.append(0.0 if len(same) > 1 else max(value for value, _ in repeats))
    return min(found, default=None)
