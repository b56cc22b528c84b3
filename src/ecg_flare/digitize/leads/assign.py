"""Which lead stands where: rows and columns of the page matched to a layout of page/layouts.

Three witnesses are heard for every layout that has as many rows as were found: the labels that were read at its places,
the identities between limb leads that it prints at the same time, and the short leads that its rhythm strips repeat.
No witness, no confidence: a page that only has the right number of rows is reported as unsure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.beats import activity
from ecg_flare.digitize.leads.columns import LabelPlace, uneven_borders
from ecg_flare.digitize.leads.labels import MIN_FIT, Word
from ecg_flare.digitize.leads.physiology import correlation, limb_consistency_db, repeat_db
from ecg_flare.digitize.leads.spans import PageSpan
from ecg_flare.ecg.leads import LEADS
from ecg_flare.page.layout import Layout, Segment, layout_names, load_layout

GRID_STEP_MM: Final = 0.1  # signals are compared on this raster
BORDER_MM: Final = 0.8  # left out at either end of a column: the step from lead to lead
LABEL_TEMPERATURE: Final = 0.05
LABEL_FLOOR: Final = -4.0  # natural logarithm: one misread label is no proof
LABEL_MISSING: Final = -1.5
RHYTHM_PRIOR: Final = 0.5  # of the layout's own rhythm lead; any other may stand there
TIME_STEPS: Final = 20
NOMINAL_TOLERANCE_S: Final = 0.06
EDGE_MM: Final = 1.5
SAMPLE_S: Final = 0.002  # recorders sample at 500 Hz, most of them
UNOPPOSED: Final = 0.2  # what is left when no witness speaks for a layout, and none against it
GIVEN_CONFIDENCE: Final = 0.9
REPEAT_DB: Final = 2.0  # by which a strip repeats a lead better are worth one nat of its label
MIN_STRIP_DB: Final = 6.0  # a rhythm strip that repeats no short lead is none, or the rows are not these
PHYSIOLOGY_PIVOT_DB: Final = 12.0
PHYSIOLOGY_SCALE_DB: Final = 3.0
PHYSIOLOGY_WEIGHT: Final = 2.0


@dataclass(frozen=True)
class LeadSpan:
    """One lead's place: its row, its stretch of x in pixels and of time in seconds."""

    lead: str
    row: int
    left_px: float
    right_px: float
    start_s: float
    end_s: float
    is_rhythm: bool
    inverted: bool = False

    @property
    def title(self) -> str:
        """The lead's name, told apart from its short stretch where it is a rhythm strip."""
        return f"{self.lead} rhythm" if self.is_rhythm else self.lead


@dataclass(frozen=True)
class Assignment:
    """The layout found, its leads' places, and how sure that is (0 to 1).

    `labels_read` and `labels_agreeing` count the places of the layout with a readable word and those whose word is the
    name expected; `limb_db` is the consistency of the limb leads under this layout, None where nothing can be checked;
    `strip_db` says how well the worst rhythm strip repeats a short lead.
    """

    layout: str
    spans: tuple[LeadSpan, ...]
    confidence: float
    columns: Literal["consecutive", "simultaneous"]
    labels_read: int
    labels_agreeing: int
    limb_db: float | None
    strip_db: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PageRows:
    """What the layouts are tried on: rows sampled on one raster of x, in mm upwards, and the words beside them."""

    x_px: Float64[np.ndarray, " n"]
    y_mm: Float64[np.ndarray, "rows n"]
    level_px: Float64[np.ndarray, " rows"]
    words: tuple[Word, ...]
    span: PageSpan
    px_per_mm_x: float
    px_per_mm_y: float
    speed_mm_per_s: float
    width_px: float


def sample_rows(
    polylines: Sequence[Float64[np.ndarray, "k 2"]],
    levels: Sequence[float],
    words: Sequence[Word],
    span: PageSpan,
    scale: tuple[float, float],
    speed_mm_per_s: float,
) -> PageRows:
    """Put all rows on one raster of x; NaN outside their ink. `scale` is px per mm in x and y."""
    x = np.arange(span.left_px, span.right_px, GRID_STEP_MM * scale[0])
    sampled = []
    for polyline, level in zip(polylines, levels, strict=True):
        known = polyline[np.isfinite(polyline[:, 1])]
        y = np.interp(x, known[:, 0], known[:, 1], left=np.nan, right=np.nan)
        nearest = np.clip(np.searchsorted(known[:, 0], x), 1, len(known) - 1)
        far = known[nearest, 0] - known[nearest - 1, 0] > 3.0 * scale[0]
        sampled.append(np.where(far, np.nan, (level - y) / scale[1]))
    width = float(max(polyline[-1, 0] for polyline in polylines)) + 0.5
    return PageRows(x, np.stack(sampled), np.array(levels), tuple(words), span, *scale, speed_mm_per_s, width)


def assign(page: PageRows, layout: str = "auto") -> Assignment | None:
    """Return the layout that fits best, or None if no layout has as many rows (or the one that was asked for)."""
    n_rows = len(page.level_px)
    names = layout_names() if layout == "auto" else (layout,)
    fitting = [load_layout(name) for name in names if len(load_layout(name).rows) == n_rows]
    if not fitting:
        return None
    found = [_try(page, candidate) for candidate in fitting]
    scores = np.array([score for score, _ in found])
    best = int(scores.argmax())
    assignment = found[best][1]
    if layout != "auto":
        judged = _with_confidence(assignment, 0.0)
        sure = judged.confidence >= UNOPPOSED
        return replace(judged, confidence=GIVEN_CONFIDENCE, warnings=()) if sure else judged
    others = np.delete(scores, best)
    margin = float(scores[best] - others.max()) if len(others) else np.inf
    return _with_confidence(assignment, margin)


def _try(page: PageRows, layout: Layout) -> tuple[float, Assignment]:
    spans = _follow_labels(page, layout, _place(page, layout))
    label_score, read, agreeing, leads = _hear_labels(page, spans)
    spans = tuple(replace(span, lead=lead) for span, lead in zip(spans, leads, strict=True))
    limb_db = limb_consistency(page, spans)
    score = label_score
    if limb_db is not None:
        score += PHYSIOLOGY_WEIGHT * float(np.clip((limb_db - PHYSIOLOGY_PIVOT_DB) / PHYSIOLOGY_SCALE_DB, -3.0, 3.0))
    spans = _name_strips(page, spans, read_leads=_read_strips(page, spans))
    columns = _columns(page, spans)
    if columns == "simultaneous":
        spans = tuple(replace(span, start_s=0.0, end_s=span.end_s - span.start_s) for span in spans)
    strip_db = _strip_db(page, spans) if columns == "consecutive" else None
    return score, Assignment(layout.name, spans, 0.0, columns, read, agreeing, limb_db, strip_db)


def _place(page: PageRows, layout: Layout) -> tuple[LeadSpan, ...]:
    """Cut every row into the layout's segments, in proportion to their duration."""
    left, right = _nominal_span(page, layout)
    seconds = (right - left) / page.px_per_mm_x / page.speed_mm_per_s
    spans = []
    for row, segments in enumerate(layout.rows):
        length = sum(segment.duration_s for segment in segments)
        factor = seconds / length
        done = 0.0
        for segment in segments:
            a, b = left + (right - left) * done / length, left + (right - left) * (done + segment.duration_s) / length
            spans.append(_span(segment, row, (a, b), factor))
            done += segment.duration_s
    return tuple(spans)


def _follow_labels(page: PageRows, layout: Layout, spans: tuple[LeadSpan, ...]) -> tuple[LeadSpan, ...]:
    """Move the columns' borders to where the labels say that they are, if the page cuts a column short."""
    short = [span for span in spans if not span.is_rhythm]
    lefts = sorted({round(span.left_px, 2) for span in short})
    segments = [segment for row in layout.rows for segment in row if not segment.rhythm]
    if len({segment.duration_s for segment in segments}) != 1 or len(lefts) * len({s.row for s in short}) != len(short):
        return spans
    places = []
    for span in short:
        word = _word_at(page, span)
        if word is not None and word.best == span.lead:
            places.append(LabelPlace(lefts.index(round(span.left_px, 2)), word.left))
    px_per_s = page.px_per_mm_x * page.speed_mm_per_s
    column_px = segments[0].duration_s * px_per_s
    borders = uneven_borders(places, len(lefts), lefts[0], page.span.right_px, column_px, page.px_per_mm_x)
    if borders is None:
        return spans
    moved = []
    for span in spans:
        k = lefts.index(round(span.left_px, 2)) if not span.is_rhythm else 0
        left, right = (borders[k], borders[k + 1]) if not span.is_rhythm else (borders[0], borders[-1])
        start, end = ((x - borders[0]) / px_per_s for x in (left, right))
        moved.append(replace(span, left_px=left, right_px=right, start_s=start, end_s=end))
    return tuple(moved)


def _nominal_span(page: PageRows, layout: Layout) -> tuple[float, float]:
    """Return the rows' span, mended to the layout's duration where only the ink of an end is missing.

    Layouts are printed whole, or shortened by a multiple of 1/20 where the paper is too narrow. An end that lies at the
    page's edge is the one that was cut; otherwise both share the difference.
    """
    left, right = page.span.left_px, page.span.right_px
    px_per_s = page.px_per_mm_x * page.speed_mm_per_s
    step = layout.duration_s / TIME_STEPS
    nominal = round((right - left) / px_per_s / step) * step * px_per_s
    # the last sample is drawn one step before the end
    missing = nominal - (right - left) - SAMPLE_S * px_per_s
    if nominal <= 0 or abs(missing) > NOMINAL_TOLERANCE_S * px_per_s:
        return left, right
    edge = EDGE_MM * page.px_per_mm_x
    share = 1.0 if left < edge else 0.0 if right > page.width_px - edge else 0.5
    begin = left - share * missing
    return begin, begin + nominal


def _span(segment: Segment, row: int, x_px: tuple[float, float], factor: float) -> LeadSpan:
    start, end = segment.start_s * factor, (segment.start_s + segment.duration_s) * factor
    return LeadSpan(segment.lead, row, x_px[0], x_px[1], start, end, segment.rhythm, segment.inverted)


def _word_at(page: PageRows, span: LeadSpan) -> Word | None:
    """Return the word that stands at the beginning of a span, the best readable one if there are several."""
    spacing = np.diff(page.level_px).min() if len(page.level_px) > 1 else 30.0 * page.px_per_mm_y
    level = page.level_px[span.row]
    from_x = span.left_px - 4.0 * page.px_per_mm_x
    to_x = span.left_px + min(14.0 * page.px_per_mm_x, 0.4 * (span.right_px - span.left_px))
    near = [
        word
        for word in page.words
        if from_x < (word.left + word.right) / 2 < to_x
        and abs((word.top + word.bottom) / 2 - level) < 0.62 * spacing
        and word.fits.max() > MIN_FIT
        and (word.n_letters > 1 or span.left_px < page.span.left_px + 4.0 * page.px_per_mm_x)
    ]
    # a separator's dash looks like an "I", which stands at the page's left in every layout
    return max(near, key=lambda word: (word.n_letters > 1, float(word.fits.max())), default=None)


def _hear_labels(page: PageRows, spans: Sequence[LeadSpan]) -> tuple[float, int, int, tuple[str, ...]]:
    """Return the labels' score, how many were read, how many agree, and the leads with the strips named by them."""
    words = [_word_at(page, span) for span in spans]
    read = sum(word is not None for word in words)
    score, agreeing = 0.0, 0
    for span, word in zip(spans, words, strict=True):
        if word is None:
            score += LABEL_MISSING if read >= 3 else 0.0
            continue
        likelihood = _likelihood(word)
        expected = likelihood[LEADS.index(span.lead)]
        if span.is_rhythm:
            expected = RHYTHM_PRIOR * expected + (1 - RHYTHM_PRIOR) * likelihood.max()
        score += max(LABEL_FLOOR, float(np.log(expected + 1e-9)))
        agreeing += int(span.is_rhythm or word.best == span.lead)
    return score, read, agreeing, tuple(span.lead for span in spans)


def _likelihood(word: Word) -> Float64[np.ndarray, " 12"]:
    weight = np.exp((word.fits.astype(np.float64) - word.fits.max()) / LABEL_TEMPERATURE)
    likelihood: Float64[np.ndarray, " 12"] = weight / weight.sum()
    return likelihood


def signal_of(page: PageRows, span: LeadSpan) -> Float64[np.ndarray, " n"]:
    """Return the span's signal in mm on the page's raster, upright even where it is printed inverted."""
    inside = (page.x_px > span.left_px + BORDER_MM * page.px_per_mm_x) & (
        page.x_px < span.right_px - BORDER_MM * page.px_per_mm_x
    )
    signal = np.where(inside, page.y_mm[span.row], np.nan)
    return -signal if span.inverted else signal


def limb_consistency(page: PageRows, spans: Sequence[LeadSpan]) -> float | None:
    """Return the least consistency, in dB, of the groups of limb leads that stand one above the other."""
    groups: dict[tuple[float, float], dict[str, Float64[np.ndarray, " n"]]] = {}
    for span in spans:
        if not span.is_rhythm:
            groups.setdefault((round(span.left_px, 1), round(span.right_px, 1)), {})[span.lead] = signal_of(page, span)
    found = [limb_consistency_db(group) for group in groups.values()]
    known = [value for value in found if value is not None]
    return min(known, default=None)


def _read_strips(page: PageRows, spans: Sequence[LeadSpan]) -> Mapping[int, Word]:
    words = {span.row: _word_at(page, span) for span in spans if span.is_rhythm}
    return {row: word for row, word in words.items() if word is not None}


def _name_strips(page: PageRows, spans: Sequence[LeadSpan], read_leads: Mapping[int, Word]) -> tuple[LeadSpan, ...]:
    """Name every rhythm strip: by the short lead that it repeats, weighed with the label that was read beside it."""
    named = []
    for span in spans:
        if span.is_rhythm:
            word = read_leads.get(span.row)
            likelihood = _likelihood(word) if word is not None else np.full(len(LEADS), 1 / len(LEADS))
            score = np.log(likelihood + 1e-3)
            score[LEADS.index(span.lead)] += 1.0
            strip = page.y_mm[span.row]
            for other in spans:
                repeated = None if other.is_rhythm else repeat_db(strip, signal_of(page, other))
                if repeated is not None:
                    score[LEADS.index(other.lead)] += float(np.clip(repeated, -5, 40)) / REPEAT_DB
            span = replace(span, lead=LEADS[int(score.argmax())])
        named.append(span)
    return tuple(named)


def _strip_db(page: PageRows, spans: Sequence[LeadSpan]) -> float | None:
    """Return how well the worst rhythm strip repeats any short lead, None where there is no strip."""
    short = [signal_of(page, span) for span in spans if not span.is_rhythm]
    found = []
    for span in spans:
        if span.is_rhythm:
            repeats = [repeat_db(page.y_mm[span.row], signal) for signal in short]
            found.append(max((value for value in repeats if value is not None), default=0.0))
    return min(found, default=None)


def _columns(page: PageRows, spans: Sequence[LeadSpan]) -> Literal["consecutive", "simultaneous"]:
    """Tell columns that go on in time from columns that all show the same stretch: there beats stand at one place."""
    short = [span for span in spans if not span.is_rhythm]
    lefts = sorted({round(span.left_px, 1) for span in short})
    if len(lefts) < 2:
        return "consecutive"
    length = min(int((span.right_px - span.left_px) / (GRID_STEP_MM * page.px_per_mm_x)) for span in short)
    width = round(0.04 * page.speed_mm_per_s / GRID_STEP_MM)
    begin = [int(np.searchsorted(page.x_px, left)) for left in lefts]
    beats = [
        activity([page.y_mm[span.row, b : b + length] for span in short if round(span.left_px, 1) == left], width)
        for left, b in zip(lefts, begin, strict=True)
        if b + length <= len(page.x_px)
    ]
    if len(beats) < 2:
        return "consecutive"
    with_first = float(np.median([correlation(beat, beats[0]) for beat in beats[1:]]))
    strips = [span for span in spans if span.is_rhythm]
    if strips:
        strip = page.y_mm[[span.row for span in strips]]
        on = [activity(list(strip[:, b : b + length]), width) for b in begin[: len(beats)]]
        here = float(np.median([correlation(beat, own) for beat, own in zip(beats[1:], on[1:], strict=True)]))
        at_first = float(np.median([correlation(beat, on[0]) for beat in beats[1:]]))
        return "simultaneous" if at_first > here + 0.15 and with_first > 0.6 else "consecutive"
    return "simultaneous" if with_first > 0.9 else "consecutive"


def _with_confidence(assignment: Assignment, margin: float) -> Assignment:
    """Turn the witnesses into one number, high only if two agree or one speaks clearly with none against it."""
    agreement = assignment.labels_agreeing / max(assignment.labels_read, 1)
    some_labels = assignment.labels_read >= 4 and agreement >= 0.6
    max_labels = assignment.labels_agreeing >= 7 and agreement >= 0.8
    limbs_agree = assignment.limb_db is not None and assignment.limb_db >= 14.0
    limbs_against = assignment.limb_db is not None and assignment.limb_db < 6.0
    labels_against = assignment.labels_read >= 4 and agreement < 0.4
    confidence = 0.2 + 0.25 * some_labels + 0.2 * max_labels + 0.3 * limbs_agree + 0.2 * (margin > 3.0)
    strips_against = assignment.strip_db is not None and assignment.strip_db < MIN_STRIP_DB
    confidence -= 0.4 * (labels_against or strips_against or (limbs_against and not max_labels))
    warnings: tuple[str, ...] = ()
    if confidence < 0.75:
        limbs = "cannot be checked" if assignment.limb_db is None else f"agree to {assignment.limb_db:.0f} dB"
        warnings = (
            f"Layout {assignment.layout} is uncertain: {assignment.labels_agreeing} of {assignment.labels_read} labels "
            f"that were read agree, limb leads {limbs}; "
            "check it, or give the layout by option.",
        )
    return replace(assignment, confidence=float(np.clip(confidence, 0.05, 0.99)), warnings=warnings)
