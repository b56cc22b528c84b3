"""How sure the signal is: the decibels that a reading probably has, from what it says of its own noise.

Every source of noise has a share of the signal's energy (leads/signal_evidence.py) and a weight. Their sum is the
noise that is expected, so that `expected_db` is readable: 1 % of noise is 20 dB. How often a page of that many
expected dB really has GOOD_DB is a logistic curve. Weights and curve were fitted on rendered pages by
`python -m benchmarks.signal_confidence`; the constants stand in confidence.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ecg_flare.digitize.confidence import (
    CONFIDENT,
    EXPECTED_DB_AT_HALF,
    EXPECTED_DB_SPREAD,
    FAULTY,
    LEAST,
    MOST,
    NOISE_FLOOR,
    NOISE_WEIGHTS,
    UNCHECKED,
)
from ecg_flare.digitize.leads.signal_evidence import SignalEvidence, Source

PAPER: Final[frozenset[Source]] = frozenset({"pixels", "columns", "shared_ink", "hidden_ends", "bent_paper"})
"""Noise that is on the page itself: no other segmenter reads it better."""

OF_TOUCHING_ROWS: Final[frozenset[Source]] = frozenset({"unread_ink", "swapped_tips", "odd_beats"})
"""Noise that is the page's own where rows share ink: it is the rest of their peaks."""

FAULTY_LEADS: Final = 3
"""Leads with a spike at an end, or a flat peak: one may be a heart's, so many are a bar's, a pulse's or a label's."""

A_CAUSE_DB: Final = 3.0
"""A source is named as a cause if it alone is no further than this above the noise of all."""


@dataclass(frozen=True, eq=False)
class SignalConfidence:
    """The decibels that are expected of a reading, by its sources of noise.

    `shares` are the weighted shares of the signal's energy, NOISE_FLOOR not among them. `faulty` is whether something
    that is no signal was surely read as one.
    """

    shares: Mapping[Source, float]
    faulty: bool = False

    @property
    def expected_db(self) -> float:
        """The SNR (Kaggle 2025, pooled over the page) that the reading probably has."""
        return _decibels(sum(self.shares.values()))

    @property
    def value(self) -> float:
        """How sure it is that the signal has GOOD_DB, LEAST to MOST; FAULTY at most where it is faulty."""
        return min(self.sure_but_for_faults, FAULTY) if self.faulty else self.sure_but_for_faults

    @property
    def sure_but_for_faults(self) -> float:
        """How sure that is by the decibels alone."""
        return probability_of_good(self.expected_db)

    @property
    def causes(self) -> tuple[Source, ...]:
        """The sources that make most of the noise, the greatest first."""
        total = sum(self.shares.values()) + NOISE_FLOOR
        main = {source: share for source, share in self.shares.items() if share > total * 10 ** (-A_CAUSE_DB / 10) / 2}
        return tuple(sorted(main, key=lambda source: -main[source]))

    @property
    def may_be_read_better(self) -> bool:
        """Whether noise that is not the paper's own leaves the signal in doubt."""
        own = PAPER | OF_TOUCHING_ROWS if self.shares["shared_ink"] > 0 else PAPER
        mended = sum(share for source, share in self.shares.items() if source not in own)
        return self.faulty or probability_of_good(_decibels(mended)) < CONFIDENT


def signal_confidence(evidence: SignalEvidence) -> SignalConfidence:
    """Return how sure the signal is by what the reading says of its noise."""
    shares = {source: NOISE_WEIGHTS[source] * share for source, share in evidence.noise.items()}
    if not evidence.limb:
        shares["columns"] *= UNCHECKED
    return SignalConfidence(MappingProxyType(shares), faulty=_is_faulty(evidence))


def _is_faulty(evidence: SignalEvidence) -> bool:
    cut = {tip.lead for tip in evidence.cut}
    return bool(evidence.boxes) or max(len(evidence.spiked), len(cut)) >= FAULTY_LEADS


def probability_of_good(expected_db: float) -> float:
    """Return how often a page of so many expected dB has at least 15: a logistic curve within LEAST and MOST."""
    if not np.isfinite(expected_db):
        return LEAST
    odds = (expected_db - EXPECTED_DB_AT_HALF) / EXPECTED_DB_SPREAD
    return float(np.clip(1.0 / (1.0 + np.exp(-odds)), LEAST, MOST))


def _decibels(noise: float) -> float:
    return float(-10.0 * np.log10(noise + NOISE_FLOOR))
