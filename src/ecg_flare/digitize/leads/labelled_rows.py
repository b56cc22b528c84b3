"""What the layouts are tried on: the rows of a page, the words beside them, and how fast the paper ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.labels import MIN_FIT, Word
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.trace.raster import RowRaster

STROKES_ALONE = 0.1  # by which I, II, III have to fit better than another name
PULSE_MM = 10.0  # from a label before a pulse to the lead
COLUMN_MM = 2.0  # names above one another stand this near
BORDER_MM = 0.8  # left out at either end of a lead: the step from lead to lead


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """A page's rows, the words that were read on it, and its speed in mm/s."""

    rows: RowRaster
    words: tuple[Word, ...]
    speed_mm_per_s: float

    @property
    def px_per_s(self) -> float:
        """Pixels along x that a second takes."""
        return self.rows.scale.x * self.speed_mm_per_s

    def naming(self, names: Collection[str]) -> LabelledRows:
        """Return the same rows with words that say these names and no others."""
        return replace(self, words=tuple(word.among(names) for word in self.words))

    def word_at(self, span: LeadSpan) -> Word | None:
        """Return the word that stands at the beginning of a span, the best readable one if there are several."""
        near = [
            word
            for word in self._words_at(span)
            if word.fits.max() > MIN_FIT
            and (word.n_letters > 1 or span.left_px < self.rows.span.left_px + 4.0 * self.rows.scale.x)
        ]
        # a separator's dash looks like an "I", which stands at the page's left in every layout
        return max(near, key=lambda word: (word.n_letters > 1, _legibility(word)), default=None)

    def words_elsewhere(self, spans: Sequence[LeadSpan]) -> int:
        """Return how many names of leads stand in columns along the rows where none of the spans begins.

        A name counts with another one above or below it: a single word may be any print.
        """
        rows = self.rows
        placed: dict[int, set[Word]] = defaultdict(set)
        for span in spans:
            placed[span.row].update(self._words_at(span))
        names = [word for word in self.words if word.n_letters > 1 and word.fits.max() > MIN_FIT]
        astray = [
            ((word.left + word.right) / 2, row)
            for word in names
            for row in range(len(rows.level_px))
            if self._beside(word, row)
            and rows.span.left_px < word.left < rows.span.right_px
            and word not in placed[row]
        ]
        apart = COLUMN_MM * rows.scale.x
        return sum(any(abs(x - other) < apart and row != below for other, below in astray) for x, row in astray)

    def _words_at(self, span: LeadSpan) -> list[Word]:
        """Return the words that stand where the label of a span does."""
        from_x = self._labels_from(span)
        to_x = span.left_px + min(14.0 * self.rows.scale.x, 0.4 * (span.right_px - span.left_px))
        return [
            word for word in self.words if from_x < (word.left + word.right) / 2 < to_x and self._beside(word, span.row)
        ]

    def _beside(self, word: Word, row: int) -> bool:
        return bool(abs((word.top + word.bottom) / 2 - self.rows.level_px[row]) < 0.62 * self._spacing_px)

    @cached_property
    def _spacing_px(self) -> float:
        """The least distance between rows."""
        levels = self.rows.level_px
        return float(np.diff(levels).min()) if len(levels) > 1 else 30.0 * self.rows.scale.y

    def _labels_from(self, span: LeadSpan) -> float:
        """Return from which x on a span's label may stand: beside or before the pulse that the span begins after."""
        page, scale = self.rows.span, self.rows.scale
        before = [left for left, right in page.gaps if abs(span.left_px - right) < PULSE_MM * scale.x]
        first = bool(page.gaps) and span.left_px < page.left_px + 4.0 * scale.x
        return min([span.left_px - (PULSE_MM if first else 4.0) * scale.x, *before])


def _legibility(word: Word) -> float:
    """Return how well a word's name fits, names of strokes alone as less: a pulse is two of them, a beat one."""
    return float(word.fits.max()) - (STROKES_ALONE if set(word.best) == {"I"} else 0.0)


def signal_of(rows: RowRaster, span: LeadSpan) -> Float64[np.ndarray, " n"]:
    """Return the span's signal in mm on the page's raster, upright even where it is printed inverted."""
    inside = (rows.x_px > span.left_px + BORDER_MM * rows.scale.x) & (
        rows.x_px < span.right_px - BORDER_MM * rows.scale.x
    )
    signal = np.where(inside, rows.y_mm[span.row], np.nan)
    return -signal if span.inverted else signal


def strip_at(rows: RowRaster, strip: LeadSpan, short: LeadSpan) -> Float64[np.ndarray, " n"]:
    """Return a rhythm strip's line moved along the page, so that each time stands where the short lead shows it.

    It is moved only where pulses part the columns: they take paper from these, and none from the strip.
    """
    line: Float64[np.ndarray, " n"] = rows.y_mm[strip.row]
    if not rows.span.gaps or strip.duration_s <= 0:
        return line
    px_per_s = (strip.right_px - strip.left_px) / strip.duration_s
    shift_px = short.left_px - strip.left_px - (short.start_s - strip.start_s) * px_per_s
    moved: Float64[np.ndarray, " n"] = np.interp(rows.x_px - shift_px, rows.x_px, line, left=np.nan, right=np.nan)
    return moved
