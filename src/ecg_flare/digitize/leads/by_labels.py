"""Pages of no known layout: leads named by the labels beside them alone, without much confidence.

A strip of one lead, six limb leads on a page of their own, a page cut in the middle: the rows are there, but no layout
of page/layouts has so many. What is labelled can still be read.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ecg_flare.digitize.confidence import LayoutEvidence, labels_alone_confidence
from ecg_flare.digitize.leads.assign import Assignment
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import MIN_FIT, Word
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.errors import PageError

LAYOUT_NAME: Final = "by labels"
MIN_MARGIN: Final = 0.06
MIN_COVERAGE: Final = 0.75  # of the row's length, with ink
FIRST_LABEL_MM: Final = 15.0  # a label this near the row's beginning names its first stretch
LABEL_REACH_MM: Final = 14.0  # from a row's level to its label
SHORTEST_S: Final = 0.3


def assign_by_labels(page: LabelledRows) -> Assignment:
    """Name stretches of rows by the words above or below their beginning.

    Each label names the row from its own place to the next label. Raises PageError if no row can be named.
    """
    spans: list[LeadSpan] = []
    read = 0
    for row in range(len(page.rows.level_px)):
        if np.isfinite(page.rows.y_mm[row]).mean() < MIN_COVERAGE:
            continue  # letters of a text in a line, or the edges of a picture
        words = _labels_of(page, row)
        read += len(words)
        spans += _cut(page, row, words)
    if not spans:
        raise PageError(
            f"Found {len(page.rows.level_px)} rows, which no layout has, and no lead label can be read beside them; "
            "if the page is whole, give its layout with --layout."
        )
    named = len({span.row for span in spans})
    rows, stretches = _counted(len(page.rows.level_px), "row"), _counted(len(spans), "stretch", "es")
    warning = (
        f"no known layout fits the {rows} of this page; {stretches} on {_counted(named, 'row')} could be named by the "
        "labels alone: check every lead's name"
    )
    confidence = labels_alone_confidence(named, len(page.rows.level_px))
    kept = tuple(_without_repeats(spans))
    return Assignment(LAYOUT_NAME, kept, confidence, "consecutive", LayoutEvidence(read, read, None), (warning,))


def _counted(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


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
