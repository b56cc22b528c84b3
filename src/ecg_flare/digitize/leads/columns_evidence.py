"""Whether the columns of a layout are columns of the page: every one needs a witness of its own.

The rows of a page can be cut into any columns. What speaks for a border is that the beats change there, against it that
they stay alike. What speaks for a row that shows one lead is that its beats stay alike from end to end. Rows that are
taken as chest leads and obey the identities of the limb leads beside them are those limb leads, going on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from ecg_flare.digitize.confidence import LIMBS_AGREE_DB
from ecg_flare.digitize.leads.labelled_rows import LabelledRows, signal_of
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.physiology import limb_consistency_db, repeat_db
from ecg_flare.digitize.leads.row_beats import RowBeats, rows_alike_db
from ecg_flare.ecg.leads import LIMB_LEADS

MIN_LIMBS: Final = 3  # have identities
PARTED_DB, ALIKE_DB = 5.0, 8.0  # below the first beats change at a border, above the second they go on
CHANGED_DB: Final = 3.0  # within a row: beats of one patient may differ, and lines be read badly
UNLIKE_LIMBS_DB: Final = 8.0
MANY_ROWS: Final = 4  # of chest leads: three may obey the limb leads' identities by chance
REPEATED_DB: Final = 10.0
MIN_LABELS: Final = 2  # that name leads of a column as the layout does

Column = tuple[float, float]
BeatsOf = Callable[[tuple[int, ...]], RowBeats]


@dataclass(frozen=True)
class ColumnsEvidence:
    """What the rows' own course says of a layout's columns.

    `across_db` is how alike the beats are across the border where they are most alike, `within_db` how alike they are
    along rows of a single lead; None where the page has too few beats to say. `imitated` says that all columns of
    four chest leads and more obey the limb leads' identities. `unwitnessed` counts the columns that nothing speaks for.
    """

    across_db: float | None
    within_db: float | None
    imitated: bool
    unwitnessed: int

    @property
    def agree(self) -> bool:
        """Whether the beats show every border of the layout, and no other."""
        parted = self.across_db is None or self.across_db < PARTED_DB
        whole = self.within_db is None or self.within_db > ALIKE_DB
        return parted and whole and not (self.across_db is None and self.within_db is None)

    @property
    def disagree(self) -> bool:
        """Whether the beats go on across a border of the layout, or change within a row of a single lead."""
        goes_on = self.across_db is not None and self.across_db > ALIKE_DB
        return goes_on or (self.within_db is not None and self.within_db < CHANGED_DB)

    @property
    def score(self) -> float:
        """The beats' log-likelihood of the columns in nats."""
        pivot = (PARTED_DB + ALIKE_DB) / 2
        across = 0.0 if self.across_db is None else pivot - self.across_db
        within = 0.0 if self.within_db is None else self.within_db - pivot
        return float(np.clip(across, -5, 5) + np.clip(within, -5, 5)) * 0.8


def columns_evidence(page: LabelledRows, spans: Sequence[LeadSpan], beats_of: BeatsOf) -> ColumnsEvidence:
    """Return what speaks for the columns of a layout that was laid over a page.

    `beats_of` returns the beats of the rows of some numbers.
    """
    columns = _columns(spans)
    borders = [_across(page, columns[left], columns[right], beats_of) for left, right in pairwise(sorted(columns))]
    known = [value for value in borders if value is not None]
    short = [span for span in spans if not span.is_rhythm] or spans  # strips beside short leads have those to repeat
    whole = [span for span in short if not any(other.row == span.row and other is not span for other in short)]
    within = _within(page, whole, beats_of) if whole else None
    limb_db, chest_db = _identities(page, columns)
    limbs_hold = min(limb_db.values(), default=-np.inf) >= LIMBS_AGREE_DB
    if len(columns) == 1 and limbs_hold and (within is None or within < ALIKE_DB):
        within = None  # identities that hold from end to end leave no room for another column
    tall = [value for column, value in chest_db.items() if len(columns[column]) >= MANY_ROWS]
    imitated = min(tall, default=-np.inf) >= LIMBS_AGREE_DB
    by_identities = {column for column, value in limb_db.items() if value >= LIMBS_AGREE_DB}
    by_identities |= {column for column, value in chest_db.items() if limbs_hold and value < UNLIKE_LIMBS_DB}
    unwitnessed = sum(
        not (column in by_identities or beats or _labelled(page, columns[column]))
        and not _repeated(page, columns[column], spans)
        for column, beats in zip(sorted(columns), _parted(borders), strict=False)
    )
    return ColumnsEvidence(max(known, default=None), within, imitated, unwitnessed)


def one_lead_evidence(page: LabelledRows) -> ColumnsEvidence:
    """Return what speaks for rows of one lead that goes on from row to row: its beats are alike in all of them."""
    return ColumnsEvidence(None, rows_alike_db(page.rows, page.speed_mm_per_s), imitated=False, unwitnessed=0)


def _parted(borders: Sequence[float | None]) -> list[bool]:
    """Return for each column whether beats change at one of its borders; a lone column has none to show."""
    shown = [value is not None and value < PARTED_DB for value in borders]
    return [left or right for left, right in pairwise([False, *shown, False])] if borders else [True]


def _columns(spans: Sequence[LeadSpan]) -> Mapping[Column, list[LeadSpan]]:
    columns: dict[Column, list[LeadSpan]] = {}
    for span in spans:
        if not span.is_rhythm:
            columns.setdefault((round(span.left_px, 1), round(span.right_px, 1)), []).append(span)
    return columns


def _across(page: LabelledRows, left: Sequence[LeadSpan], right: Sequence[LeadSpan], beats_of: BeatsOf) -> float | None:
    rows = tuple(sorted({span.row for span in left} & {span.row for span in right}))
    return beats_of(rows).alike_db(_samples(page, left[0]), _samples(page, right[0])) if rows else None


def _within(page: LabelledRows, whole: Sequence[LeadSpan], beats_of: BeatsOf) -> float | None:
    begin, end = _samples(page, whole[0])
    middle = (begin + end) // 2
    return beats_of(tuple(sorted(span.row for span in whole))).alike_db((begin, middle), (middle, end))


def _samples(page: LabelledRows, span: LeadSpan) -> tuple[int, int]:
    begin, end = np.searchsorted(page.rows.x_px, [span.left_px, span.right_px])
    return int(begin), int(end)


def _identities(
    page: LabelledRows, columns: Mapping[Column, Sequence[LeadSpan]]
) -> tuple[Mapping[Column, float], Mapping[Column, float]]:
    """Return how well each column of limb leads obeys their identities, and each of chest leads under limb names.

    The names are those of the first column of limb leads with as many rows: where its rows go on, so do their
    identities. Chest leads on a page of their own are tried under the six names in their usual order.
    """
    limb: dict[Column, float] = {}
    chest: dict[Column, float] = {}
    names: dict[int, LeadSpan] = {}
    for column in sorted(columns):
        spans = columns[column]
        if sum(span.lead in LIMB_LEADS for span in spans) >= MIN_LIMBS:
            names = names or {span.row: span for span in spans if span.lead in LIMB_LEADS}
            value = limb_consistency_db({span.lead: signal_of(page.rows, span) for span in spans})
            if value is not None:
                limb[column] = value
        elif not any(span.lead in LIMB_LEADS for span in spans):
            usual = dict(zip((span.row for span in spans), LIMB_LEADS, strict=False))
            signals = {}
            for span in spans:
                signal = signal_of(page.rows, span)
                like = names.get(span.row)
                name = like.lead if like else usual.get(span.row)
                if name is not None:  # more rows than limb leads: a lead that goes on from row to row
                    signals[name] = -signal if like and like.inverted else signal
            value = limb_consistency_db(signals)
            if value is not None:
                chest[column] = value
    return limb, chest


def _labelled(page: LabelledRows, column: Sequence[LeadSpan]) -> bool:
    words = [(span, page.word_at(span)) for span in column]
    agreeing = sum(word is not None and word.best == span.lead for span, word in words)
    return agreeing >= min(MIN_LABELS, len(column))


def _repeated(page: LabelledRows, column: Sequence[LeadSpan], spans: Sequence[LeadSpan]) -> bool:
    """Whether a rhythm strip repeats a lead of the column sample by sample."""
    strips = [page.rows.y_mm[span.row] for span in spans if span.is_rhythm]
    found = [repeat_db(strip, signal_of(page.rows, span)) for strip in strips for span in column]
    return any(value is not None and value >= REPEATED_DB for value in found)
