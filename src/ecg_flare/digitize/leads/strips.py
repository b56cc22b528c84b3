"""Rhythm strips: named by the short lead that they repeat, and held against all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.label_evidence import name_likelihood
from ecg_flare.digitize.leads.labelled_rows import LabelledRows, signal_of
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.physiology import repeat_db
from ecg_flare.digitize.trace.raster import RowRaster
from ecg_flare.ecg.leads import LEADS

REPEAT_DB: Final = 2.0  # by which a strip repeats a lead better are worth one nat of its label


def name_strips(page: LabelledRows, spans: Sequence[LeadSpan]) -> tuple[LeadSpan, ...]:
    """Name every rhythm strip: by the short lead that it repeats, weighed with the label that was read beside it."""
    words = {span.row: page.word_at(span) for span in spans if span.is_rhythm}
    named = []
    for span in spans:
        if span.is_rhythm:
            word = words[span.row]
            likelihood = name_likelihood(word) if word is not None else np.full(len(LEADS), 1 / len(LEADS))
            score = np.log(likelihood + 1e-3)
            score[LEADS.index(span.lead)] += 1.0
            strip = page.rows.y_mm[span.row]
            for other in spans:
                repeated = None if other.is_rhythm else repeat_db(strip, signal_of(page.rows, other))
                if repeated is not None:
                    score[LEADS.index(other.lead)] += float(np.clip(repeated, -5, 40)) / REPEAT_DB
            span = replace(span, lead=LEADS[int(score.argmax())])
        named.append(span)
    return tuple(named)


def worst_strip_db(rows: RowRaster, spans: Sequence[LeadSpan]) -> float | None:
    """Return how well the worst rhythm strip repeats any short lead, in dB; None where there is no strip."""
    short = [signal_of(rows, span) for span in spans if not span.is_rhythm]
    found = []
    for span in spans:
        if span.is_rhythm:
            repeats = [repeat_db(rows.y_mm[span.row], signal) for signal in short]
            found.append(max((value for value in repeats if value is not None), default=0.0))
    return min(found, default=None)
