"""How sure a reading is: every number that makes a confidence, and why it is what it is.

A page is as sure as the least sure of its scale, its layout and its signal. Each doubt that is left takes a share of
the first two. Numbers were chosen on rendered pages of other seeds than those of the published figures
(docs/digitization.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

LEAST, MOST = 0.05, 0.99
"""No scale and no layout is certain, and no layout that was found is impossible."""

CONFIDENT: Final = 0.75
"""A result below this confidence always carries a warning."""

WRITTEN: Final = 0.25
"""Below this no recording is written, unless it is asked for: such a reading is for a person to look at."""

HALF: Final = 0.5
"""A result below this is shown in red in a report."""

WHOLE: Final = 0.9
"""A lead of less coverage is named in a warning."""

OVERLAPPING: Final = 0.006
"""A stretch that shares more of its columns' ink with another row is named in a warning."""

# --- scale, speed and gain ----------------------------------------------------------------------------------------

UNSURE_MARGIN: Final = 3.0
"""Nats by which one reading of the grid leads another: with less the grid can be read in more than one way."""

AMBIGUOUS_GRID: Final = 0.6
"""A grid that can be read in more than one way: every length may be wrong."""

PULSES_ALONE: Final = 0.7
"""A scale from pulses alone, taken as 1 mV high and 0.2 s wide: some machines print others."""

PULSES_THAT_AGREE: Final = 0.9
"""The same where the speed and the gain are known, and the pulses are as wide for their height as these say."""

ODD_PULSES: Final = 0.45
"""A scale from pulses that are not 0.2 s wide: times are unsure, too."""

ASSUMED: Final = 0.7
"""A speed or a gain that nothing on the page says: below CONFIDENT."""

LONE_PULSE: Final = 0.85
"""A gain from a single pulse: still CONFIDENT, with a warning."""

SHORT_PULSES: Final = 0.7
"""A speed from pulses 2.5 mm wide: 0.1 s at 25 mm/s, if the heart does not say 0.2 s at 12.5 mm/s."""

GIVEN_AGAINST_HEIGHT, GIVEN_AGAINST_WIDTH = 0.6, 0.7
"""A gain, or a speed, that was given and that the pulses contradict: all are 1 mV high, not all are 0.2 s wide."""

PRINTED: Final = 0.97
"""A speed or a gain that the page prints: one line in some hundreds is misread as another usual number."""

AGAINST_PRINT: Final = 0.6
"""The share that is left of a speed or a gain where the page prints another."""

DOUBTED_BY_AMPLITUDES: Final = 0.7
"""The share that is left of one gain for all leads where the chest leads are so small that they may have half of it."""

UNWITNESSED_GAIN: Final = 0.7
"""The share that is left where pulses stand beside chest leads, and none was read beside limb leads."""

DOUBTED_BY_HEART: Final = 0.6
"""The share that is left of a measured speed at which the heart would beat as few hearts do."""

SUPPORTED_BY_HEART: Final = 1.15
"""What a speed, assumed or by short pulses, gains where the heart beats as most do: 0.7 becomes 0.8, CONFIDENT."""


def grid_confidence(margin: float, squares: float) -> float:
    """Return how sure a scale from the grid is.

    `margin` is by how many nats this reading leads the next one: 4.5 are enough for full confidence. `squares` says
    how surely the grid repeats at 5 mm, 0 to 1: 0.4 are enough.
    """
    confidence = min(1.0, 0.55 + 0.1 * margin) * min(1.0, 0.6 + squares)
    return min(confidence, AMBIGUOUS_GRID if margin < UNSURE_MARGIN else MOST)


def calibration_confidence(scale: float, gain: float, speed: float) -> float:
    """Return how sure all measures of a page are together: each one must be right."""
    return round(scale * gain * speed, 3)


# --- layout -------------------------------------------------------------------------------------------------------

SURE_LAYOUT: Final = 0.5
"""A layout that is so sure stands upright: labels and leads make no sense upside down."""

UNOPPOSED: Final = 0.2
"""What is left where no evidence speaks for a layout, and none against it."""

GIVEN_LAYOUT: Final = 0.9
"""A layout that was given and that nothing on the page speaks against: a person can err, too."""

LABELS_ALONE: Final = 0.4
"""The most where no layout fits and labels alone name the rows: nothing else vouches for them."""

SOME_LABELS, MANY_LABELS, LIMBS, COLUMNS, MARGIN = 0.25, 0.2, 0.3, 0.2, 0.2
"""What each kind of evidence adds: two kinds that agree make a layout CONFIDENT, no kind alone does."""

MIN_LABELS, AGREEING, MOST_AGREEING, CONTRADICTING = 4, 0.6, 0.8, 0.4
"""Fewer labels say nothing; of those read these shares agree with a layout, agree with it well, or contradict it."""

MANY: Final = 7
"""Agreeing labels that are many: more than half of the twelve leads, or of a layout that has fewer."""

AGAINST: Final = 0.4
"""What evidence against a layout takes: more than any one kind of evidence for it adds."""

REFUTED: Final = 0.7
"""The most where the rows' own course speaks against a layout's columns, or a name is a guess: below CONFIDENT."""

LIMBS_AGREE_DB, LIMBS_CONTRADICT_DB = 14.0, 6.0
"""From the first on the limb leads' identities hold; below the second they are broken."""

MIN_STRIP_DB: Final = 6.0
"""A rhythm strip that repeats no short lead better is none, or the rows are not these."""

TOGETHER: Final = 0.35
"""Rows whose beats are correlated less were not recorded at one time."""

CROWDED: Final = 0.3
"""Rows nearer to each other than this share of the usual spacing are one row that was found twice."""

CLEAR_MARGIN: Final = 3.0
"""Nats by which the best layout leads the next one: e**3 is 20 to 1."""


@dataclass(frozen=True)
class LayoutEvidence:
    """What speaks for a layout, and against it.

    `labels_read` and `labels_agreeing` count the places of the layout with a readable word and those whose word is the
    name expected, of `places`; `limb_db` is the consistency of the limb leads under this layout, None where nothing can
    be checked; `strip_db` says how well the worst rhythm strip repeats a short lead, None where there is none.
    `columns_agree` says whether the beats show the layout's borders and no other, None where they say nothing;
    `imitated` that its chest leads obey the identities of limb leads; `unwitnessed` counts its columns that nothing
    speaks for; `together` is how well all rows beat at one time, None for one row; `crowded` that
    two rows stand at nearly one height. `times_known` is whether the beats say if columns go on in time. `guessed` are
    the names of strips that nothing on the page says.
    """

    labels_read: int
    labels_agreeing: int
    limb_db: float | None
    strip_db: float | None = None
    places: int = 12
    columns_agree: bool | None = None
    imitated: bool = False
    unwitnessed: int = 0
    together: float | None = None
    crowded: bool = False
    times_known: bool = True
    guessed: tuple[str, ...] = ()

    @property
    def min_labels(self) -> int:
        """How many labels have to be read to say anything."""
        return min(MIN_LABELS, self.places)

    @property
    def agreement(self) -> float:
        """Share of the labels read that agree."""
        return self.labels_agreeing / max(self.labels_read, 1)

    @property
    def many_labels(self) -> bool:
        """Whether most places have a label, and nearly all of these agree."""
        many = self.labels_agreeing >= min(MANY, self.places // 2 + 1)
        return many and self.agreement >= MOST_AGREEING

    @property
    def labels_against(self) -> bool:
        """Whether the labels name other leads."""
        return self.labels_read >= self.min_labels and self.agreement < CONTRADICTING

    @property
    def limbs_against(self) -> bool:
        """Whether the limb leads' identities are broken, and no labels say that the leads are these all the same."""
        return self.limb_db is not None and self.limb_db < LIMBS_CONTRADICT_DB and not self.many_labels

    @property
    def strips_against(self) -> bool:
        """Whether a rhythm strip repeats no lead of the page."""
        return self.strip_db is not None and self.strip_db < MIN_STRIP_DB

    @property
    def apart(self) -> bool:
        """Whether the rows were recorded at different times."""
        return self.together is not None and self.together < TOGETHER

    @property
    def columns_against(self) -> bool:
        """Whether the rows' own course speaks against the columns."""
        return self.columns_agree is False or self.imitated or self.apart or self.crowded

    @property
    def opposed(self) -> bool:
        """Whether anything speaks against the layout."""
        return self.labels_against or self.limbs_against or self.strips_against or self.columns_against


def layout_confidence(evidence: LayoutEvidence, margin: float) -> float:
    """Return how sure a layout is: high only if two kinds of evidence agree, or one is clear with none against it.

    `margin` is by how many nats it leads the next layout. Each column needs a witness, and each name one that it was
    read from or repeats.
    """
    some_labels = evidence.labels_read >= evidence.min_labels and evidence.agreement >= AGREEING
    limbs_agree = evidence.limb_db is not None and evidence.limb_db >= LIMBS_AGREE_DB
    confidence = UNOPPOSED + SOME_LABELS * some_labels + MANY_LABELS * evidence.many_labels
    confidence = confidence + LIMBS * limbs_agree + MARGIN * (margin > CLEAR_MARGIN)
    confidence = min(confidence + COLUMNS * (evidence.columns_agree is True), MOST) - AGAINST * evidence.opposed
    doubted = evidence.columns_against or evidence.unwitnessed or not evidence.times_known or evidence.guessed
    return float(np.clip(confidence, LEAST, REFUTED if doubted else MOST))


def labels_alone_confidence(named_rows: int, rows: int) -> float:
    """Return how sure a reading is whose rows are named by labels alone: the less, the more rows have none."""
    return LABELS_ALONE * named_rows / rows


# --- page ---------------------------------------------------------------------------------------------------------

CONTRADICTION: Final = 0.7
"""The share that is left where the leads contradict each other: one lead may be wrong, or the whole layout."""

INKED: Final = 0.9
"""Rows with a trace on less of their length are doubted by what is missing."""

BROKEN: Final = 0.5
"""The share that a page loses where every lead is broken."""


@dataclass(frozen=True)
class PageEvidence:
    """What a page's confidence is made of.

    `checks_passed` is None where nothing could be checked, `inked` the share of the rows' length that shows a trace;
    of `n_leads` stretches, `n_broken` have gaps; `unread_rows` rows have a pulse and no line.
    """

    calibration: float
    layout: float
    checks_passed: bool | None
    inked: float
    n_leads: int
    n_broken: int
    unread_rows: int = 0


def page_confidence(evidence: PageEvidence) -> float:
    """Return how sure a page's layout, speed, gain and lines are, 0 to 1: its confidence, but for the signal's own."""
    confidence = min(evidence.calibration, evidence.layout)
    if evidence.checks_passed is False:
        confidence *= CONTRADICTION
    if not evidence.inked >= INKED:
        confidence *= float(np.nan_to_num(evidence.inked))
    if evidence.n_broken:
        confidence *= 1.0 - BROKEN * evidence.n_broken / evidence.n_leads
    return float(min(confidence, REFUTED) if evidence.unread_rows else confidence)


def lead_confidence(page: float, coverage: float, gaps: int, shared: float) -> float:
    """Return how sure one stretch of a lead is: the page's, times its coverage, halved for each of its own doubts.

    Its doubts are gaps in its line, and a share of its columns above OVERLAPPING whose ink is another row's, too.
    """
    doubt = (BROKEN if gaps else 1.0) * (BROKEN if shared > OVERLAPPING else 1.0)
    return page * coverage * doubt


# --- signal -------------------------------------------------------------------------------------------------------

GOOD_DB: Final = 15.0
"""What a signal is promised to have: the SNR of Kaggle 2025, pooled over the page."""

NOISE_WEIGHTS: Final = MappingProxyType(
    {
        "pixels": 0.005,
        "columns": 2.2,
        "limb_leads": 2.0,
        "shared_ink": 0.06,
        "unread_ink": 0.8,
        "swapped_tips": 1.6,
        "unread_lines": 1.0,
        "foreign_ink": 0.01,
        "odd_beats": 0.01,
        "spikes": 1.0,
        "lost": 1.0,
        "hidden_ends": 1.0,
        "missing_ends": 2.5,
        "bent_paper": 0.1,
    }
)
"""Of each source's noise (leads/signal_evidence.py), the part that the truth has. Fitted on 2026-11-29 on 54 pages of
`mixed`, clean-200 and scan of seeds 777 to 779 and rounded (`python -m benchmarks.signal_confidence`); what
shared and unread ink, hidden and missing ends and bent paper take was set after 450 pages of seeds 901 to 907."""

UNCHECKED: Final = 4.0
"""What `columns` counts more where no three limb leads check the signal: fast noise that is lost shows nowhere else.
Set after one page of the row `strips` (seed 424242, a lead full of muscle noise: 12.5 dB where 20 were expected)."""

NOISE_FLOOR: Final = 0.0005
"""Of the signal's energy: noise that nothing on the page shows."""

EXPECTED_DB_AT_HALF: Final = 14.7
"""Half of the pages of so many expected decibels have GOOD_DB."""

EXPECTED_DB_SPREAD: Final = 0.8
"""Decibels by which the odds change e-fold."""

FAULTY: Final = 0.7
"""A signal that holds something that is none, a pulse or a bar: below CONFIDENT."""

SOUND_RATIO: Final = math.sqrt(3.0) * 10 ** (-GOOD_DB / 20)
"""Of the sum of three limb leads to their RMS, if noise leaves each GOOD_DB: 0.31 (leads/limb_noise.py)."""

PAPER_PX: Final = 1.0
"""Noise of a well-read lead, in pixels, that is no contradiction however small the leads are: 95 % have less."""


def allowed_ratio(rms_px: float) -> float:
    """Return how much of three limb leads of so many pixels RMS may be left of their sum, of noise alone."""
    return max(SOUND_RATIO, min(1.0, math.sqrt(3.0) * PAPER_PX / max(rms_px, 1e-9)))


# --- two readings of one page -------------------------------------------------------------------------------------

CLEARLY_SURER: Final = 0.05
"""Of two segmenters' readings one is surer by more than this: a label that is read or not makes as much."""

UNKNOWN_WAY_UP: Final = 0.7
"""The most where nothing on the page says which way is up: below CONFIDENT, so that a person looks."""

BENT: Final = 0.7
"""The most where bent paper was flattened: below CONFIDENT, so that a person looks. Too few such pages are measured."""

BLACK_AND_WHITE: Final = 0.7
"""The most of a picture of two tones: below CONFIDENT, so that a person looks. Few of them are read well."""

CONTRADICTED: Final = 0.7
"""Of two sure readings that contradict each other: just below CONFIDENT, so that a person looks."""
