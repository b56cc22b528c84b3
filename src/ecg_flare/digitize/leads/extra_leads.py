"""Leads beyond the twelve: which ones a page of 15 or 16 leads shows is for its labels to say.

Machines print V4R, V8 and V9, or V3R, V4R and V7, or others at the same places. Nothing in their signals tells them
apart, so that a name that no label says is a guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.leads import EXTRA_LEADS

CLEAR_MARGIN: Final = 0.06
"""By which a label fits its name better than that of any other extra lead: V3R is like V5R."""

LEAST_MARGIN: Final = 0.02
"""The same of the twelve leads, which stand elsewhere on the page: V8 is like V6."""


def name_extra_leads(page: LabelledRows, spans: Sequence[LeadSpan]) -> tuple[LeadSpan, ...]:
    """Name a layout's places of extra leads by their labels; a name that is not read, or read twice, is a guess."""
    named = [_named(page, span) if span.lead in EXTRA_LEADS and not span.is_rhythm else span for span in spans]
    times = Counter(span.lead for span in named if not span.is_rhythm)
    return tuple(
        replace(span, guessed=True) if span.lead in EXTRA_LEADS and times[span.lead] > 1 else span for span in named
    )


def _named(page: LabelledRows, span: LeadSpan) -> LeadSpan:
    word = page.word_at(span)
    if word is None or word.best not in EXTRA_LEADS:
        return replace(span, guessed=True)
    clear = word.among(EXTRA_LEADS).margin >= CLEAR_MARGIN and word.margin >= LEAST_MARGIN
    return replace(span, lead=word.best, guessed=not clear)
