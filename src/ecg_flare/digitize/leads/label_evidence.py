"""What the labels say of a layout: the words that were read at its places, beside the names expected there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.leads import ALL_LEADS

LABEL_TEMPERATURE: Final = 0.05
LABEL_FLOOR: Final = -4.0  # natural logarithm: one misread label is no proof
LABEL_MISSING: Final = -1.5
LABEL_ELSEWHERE: Final = -2.0  # of a name in a column of names where the layout has none
MIN_READ: Final = 3  # labels from which on a missing one counts against the layout
RHYTHM_PRIOR: Final = 0.5  # of the layout's own rhythm lead; any other may stand there


@dataclass(frozen=True)
class LabelEvidence:
    """The labels' log-likelihood of a layout in nats, how many were read at its places, and how many of them agree."""

    score: float
    read: int
    agreeing: int


def label_evidence(page: LabelledRows, spans: Sequence[LeadSpan]) -> LabelEvidence:
    """Compare the words at the beginnings of spans with the names expected there, and count names elsewhere."""
    words = [page.word_at(span) for span in spans]
    read = sum(word is not None for word in words)
    score, agreeing = LABEL_ELSEWHERE * page.words_elsewhere(spans), 0
    for span, word in zip(spans, words, strict=True):
        if word is None:
            score += LABEL_MISSING if read >= MIN_READ else 0.0
            continue
        likelihood = name_likelihood(word)
        expected = likelihood[ALL_LEADS.index(span.lead)]
        if span.is_rhythm:
            expected = RHYTHM_PRIOR * expected + (1 - RHYTHM_PRIOR) * likelihood.max()
        score += max(LABEL_FLOOR, float(np.log(expected + 1e-9)))
        agreeing += int(span.is_rhythm or word.best == span.lead)
    return LabelEvidence(score, read, agreeing)


def name_likelihood(word: Word) -> Float64[np.ndarray, " names"]:
    """Return how likely each lead's name is to be the word: a softmax of how well they fit; the sum is 1."""
    weight = np.exp((word.fits.astype(np.float64) - word.fits.max()) / LABEL_TEMPERATURE)
    likelihood: Float64[np.ndarray, " names"] = weight / weight.sum()
    return likelihood
