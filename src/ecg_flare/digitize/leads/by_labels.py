"""Pages of no known layout: leads named by the labels beside them alone, without much confidence.

Two leads of a monitor, a page cut in the middle: the rows are there, but no layout of page/layouts has so many. What is
labelled can still be read. Watches and monitors print one lead that goes on from row to row: its rows beat at different
times, and their beats are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from ecg_flare.digitize.confidence import MOST_AGREEING, TOGETHER, LayoutEvidence, labels_alone_confidence
from ecg_flare.digitize.leads.assign import Assignment
from ecg_flare.digitize.leads.columns_evidence import ALIKE_DB
from ecg_flare.digitize.leads.label_evidence import name_likelihood
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import MIN_FIT, MIN_MARGIN, Word
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.row_beats import beat_together, rows_alike_db
from ecg_flare.ecg.leads import ALL_LEADS
from ecg_flare.errors import PageError

LAYOUT_NAME: Final = "by labels"
MIN_COVERAGE: Final = 0.75  # of the row's length, with ink
FIRST_LABEL_MM: Final = 15.0  # a label this near the row's beginning names its first stretch
LABEL_REACH_MM: Final = 14.0  # from a row's level to its label
SHORTEST_S: Final = 0.3
CLEAR_NATS: Final = 1.0  # by which one name leads the next


def assign_by_labels(page: LabelledRows) -> Assignment:
    """Name stretches of rows by the words above or below their beginning.

    Each label names the row from its own place to the next label; rows of one lead are put one after the other. Raises
    PageError if no row can be named.
    """
    labels: dict[int, list[Word]] = {}
    for row, line in enumerate(page.rows.y_mm):
        if np.isfinite(line).mean() < MIN_COVERAGE:
            continue  # letters of a text in a line, or the edges of a picture
        labels[row] = _labels_of(page, row)
    read = sum(map(len, labels.values()))
    one_lead = _going_on(page, labels)
    spans = one_lead or [span for row, words in labels.items() for span in _cut(page, row, words)]
    if not spans:
        raise PageError(_unnamed(page))
    named = len({span.row for span in spans})
    warning = _said(len(page.rows.level_px), named, spans, one_lead=bool(one_lead))
    confidence = labels_alone_confidence(named, len(page.rows.level_px))
    kept = tuple(one_lead or _without_repeats(spans))
    return Assignment(LAYOUT_NAME, kept, confidence, "consecutive", LayoutEvidence(read, read, None), (warning,))


def _counted(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _said(rows: int, named: int, spans: Sequence[LeadSpan], *, one_lead: bool) -> str:
    if one_lead:
        return f"the {rows} rows are read as one lead that goes on from row to row, {spans[0].lead} by its label"
    stretches = _counted(len(spans), "stretch", "es")
    return (
        f"no known layout fits the {_counted(rows, 'row')} of this page; {stretches} on {_counted(named, 'row')} could "
        "be named by the labels alone: check every lead's name"
    )


def _unnamed(page: LabelledRows) -> str:
    rows = len(page.rows.level_px)
    if rows > 1 and rows_beat_apart(page):
        return (
            f"Found {rows} rows that do not beat at the same times, as one lead does that goes on from row to row, and "
            "no lead label can be read beside them; a page of one lead needs its label, one of several its --layout."
        )
    return (
        f"Found {_counted(rows, 'row')}, which no layout has, and no lead label can be read beside them; "
        "if the page is whole, give its layout with --layout."
    )


def rows_beat_apart(page: LabelledRows) -> bool:
    """Whether the rows were recorded at different times."""
    together = beat_together(page.rows, page.speed_mm_per_s)
    return together is not None and together < TOGETHER


def _going_on(page: LabelledRows, labels: Mapping[int, Sequence[Word]]) -> list[LeadSpan]:
    """Return the rows as one lead, one after the other in time, if they are; empty if they are not.

    The labels at the rows' beginnings must say one name, and the rows' beats be alike wherever they stand.
    """
    if len(labels) < len(page.rows.level_px) or not rows_beat_apart(page):
        return []
    alike, name = rows_alike_db(page.rows, page.speed_mm_per_s), _common_name(page)
    if name is None or alike is None or alike < ALIKE_DB:
        return []
    left, right = page.rows.span.left_px, page.rows.span.right_px
    seconds = (right - left) / page.px_per_s
    return [LeadSpan(name, row, left, right, row * seconds, (row + 1) * seconds, False) for row in sorted(labels)]


def _common_name(page: LabelledRows) -> str | None:
    """Return the one name that the words at the rows' beginnings say together; None without a clear one."""
    span = page.rows.span
    places = [LeadSpan("I", row, span.left_px, span.right_px, 0.0, 1.0, True) for row in range(len(page.rows.level_px))]
    words = [word for word in map(page.word_at, places) if word is not None]
    words = [word for word in words if word.n_letters > 1] or words
    if not words:
        return None
    score = np.sum([np.log(name_likelihood(word) + 1e-3) for word in words], axis=0)
    name = ALL_LEADS[int(score.argmax())]
    second, first = np.sort(score)[-2:]
    agreeing = sum(word.best == name for word in words)
    return name if first - second > CLEAR_NATS and agreeing >= MOST_AGREEING * len(words) else None


def _labels_of(page: LabelledRows, row: int) -> list[Word]:
    """Return the readable labels of a row, from left to right: each word belongs to the nearest row."""
    found = []
    for word in page.words:
        middle = (word.top + word.bottom) / 2
        distance = np.abs(page.rows.level_px - middle)
        nearest = int(distance.argmin())
        near = distance[nearest] < LABEL_REACH_MM * page.rows.scale.y
        # a stroke looks like an "I", which stands at the page's left
        near &= word.n_letters > 1 or word.left < page.rows.span.left_px + FIRST_LABEL_MM * page.rows.scale.x
        if nearest == row and near and word.fits.max() > MIN_FIT and word.margin > MIN_MARGIN:
            found.append(word)
    return sorted(found, key=lambda word: word.left)


def _cut(page: LabelledRows, row: int, words: list[Word]) -> list[LeadSpan]:
    if not words:
        return []
    begin = [max(page.rows.span.left_px, word.left - page.rows.scale.x) for word in words]
    if begin[0] - page.rows.span.left_px < FIRST_LABEL_MM * page.rows.scale.x:
        begin[0] = page.rows.span.left_px
    spans = []
    for word, left, right in zip(words, begin, [*begin[1:], page.rows.span.right_px], strict=True):
        if right - left > SHORTEST_S * page.px_per_s:
            start, end = ((x - page.rows.span.left_px) / page.px_per_s for x in (left, right))
            spans.append(LeadSpan(word.best, row, left, right, start, end, False))
    return spans


def _without_repeats(spans: list[LeadSpan]) -> list[LeadSpan]:
    """Keep the longest stretch of every lead."""
    longest: dict[str, LeadSpan] = {}
    for span in spans:
        other = longest.get(span.lead)
        if other is None or span.duration_s > other.duration_s:
            longest[span.lead] = span
    return [span for span in spans if longest[span.lead] is span]
