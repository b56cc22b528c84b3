"""Lead labels read from the page: words of print beside the rows, compared with all leads' names in several typefaces.

A word is not read as one name: it keeps how well each of the names fits, and what it says at a place of a layout is
added up over the page, so that a smudged letter does no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from ecg_flare.digitize.ink.probabilities import Probabilities
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.leads import ALL_LEADS, LEADS
from ecg_flare.page.lettering import Text, draw_texts
from ecg_flare.page.raster import Label

TEMPLATE_HEIGHT: Final = 24
FRAME: Final = 5
LETTER_GAP: Final = 0.5  # of their height: letters of one word stand nearer than this
SPACED_GAP: Final = 1.4  # the same of a word whose letters are spaced, as viewers print them
SPACED_LETTERS: Final = 3  # no name has more
EVEN_GAPS: Final = 0.25  # of their height, by which the gaps of a spaced word differ
LEGIBLE_PX: Final = 7  # a word that is lower is as much like "II" as like "V4"
WIDEST_STROKE: Final = 0.65  # of its height: a bold "I" with serifs has 0.59, a "V" 1
USUAL_GAP: Final = 0.15  # of their height, between letters that are set as usual
LINE_TOLERANCE: Final = 0.2  # of their height: letters of one word end at one line
LETTER_HEIGHT_MM: Final = (1.2, 7.5)
LETTER_WIDTH_MM: Final = 12.0  # three letters that touch
WORD_WIDTH_MM: Final = 20.0
MAX_LETTERS: Final = 5
MIN_FIT: Final = 0.70
CLEAR_FIT: Final = 0.85  # whatever the next name has: V5 and V6 are alike
LEGIBLE_FIT: Final = 0.80  # text that stands on its head reaches 0.78
MIN_MARGIN: Final = 0.06
ASPECT_TOLERANCE: Final = 0.35  # typefaces differ in width by this (natural logarithm)
INK_THRESHOLD: Final = 0.45
LIKELY: Final = 0.35
_STROKES_ALONE: Final = np.array([set(name) == {"I"} for name in ALL_LEADS])
_HERSHEY: Final = (
    (cv2.FONT_HERSHEY_SIMPLEX, 3),
    (cv2.FONT_HERSHEY_DUPLEX, 5),
    (cv2.FONT_HERSHEY_COMPLEX, 3),
    (cv2.FONT_HERSHEY_TRIPLEX, 5),
)


@dataclass(frozen=True, eq=False)
class Word:
    """A short word on the page: its box in pixels, its letters, and how well each name of ALL_LEADS fits (-1 to 1)."""

    left: float
    top: float
    right: float
    bottom: float
    n_letters: int
    fits: Float32[np.ndarray, " names"]

    def enlarged(self, x: float, y: float) -> Word:
        """The same word on a picture that is so many times as large."""
        return replace(self, left=self.left * x, right=self.right * x, top=self.top * y, bottom=self.bottom * y)

    def among(self, names: Collection[str]) -> Word:
        """The same word on a page that prints these names and no others."""
        known = np.array([name in names for name in ALL_LEADS])
        return replace(self, fits=np.where(known, self.fits, np.float32(-1)))

    @property
    def best(self) -> str:
        return ALL_LEADS[int(self.fits.argmax())]

    @property
    def margin(self) -> float:
        """How much better the best name fits than the next."""
        second, first = np.sort(self.fits)[-2:]
        return float(first - second)


def read_words(
    ink: Float32[np.ndarray, "h w"],
    probabilities: Probabilities,
    rows: Sequence[RowTrace],
    scale: PxPerMm,
) -> tuple[Word, ...]:
    """Return the words of the page that are as small as a lead's label; `ink` is all ink, print included.

    A thin letter is a thread as a trace is: what the segmenter took for trace and no row runs through may be one, too.
    """
    certain = _inked(ink, probabilities[Label.PRINT])
    printed = certain | (_inked(ink, probabilities[Label.TRACE]) & ~along(rows, ink.shape))
    return words_in(np.where(printed, ink, np.float32(0)), scale)


def words_in(
    lettering: Float32[np.ndarray, "h w"], scale: PxPerMm, single_letters_to_px: float = np.inf
) -> tuple[Word, ...]:
    """Return the words of a picture that holds nothing but print (0 to 1), those with spaced letters among them.

    Single letters further to the right than `single_letters_to_px` are left out.
    """
    letters = _letters(lettering > 0, scale)
    tight = _grouped(letters, scale, LETTER_GAP)
    groups = [*tight, *_spaced(letters, tight, scale)]
    words = [_word(lettering, group, scale) for group in groups if len(group) > 1 or group[0, 0] < single_letters_to_px]
    return tuple(word for word in words if word is not None)


def _word(lettering: Float32[np.ndarray, "h w"], group: Int64[np.ndarray, "k 4"], scale: PxPerMm) -> Word | None:
    """Return the word that letters make; None for one that is larger than a label, or too small to be read."""
    left, top = int(group[:, 0].min()), int(group[:, 1].min())
    right, bottom = int(group[:, 2].max()), int(group[:, 3].max())
    aspect = scale.y / scale.x
    if (right - left) / scale.x > WORD_WIDTH_MM or (bottom - top) / scale.y > LETTER_HEIGHT_MM[1]:
        return None
    if bottom - top < LEGIBLE_PX:
        return None
    fits = fit_names(lettering[top:bottom, left:right], aspect * (right - left) / (bottom - top))
    if 1 < len(group) <= SPACED_LETTERS:
        closed = _closed_up(lettering, group, scale)
        if closed is not None:
            fits = np.maximum(fits, fit_names(closed, aspect * closed.shape[1] / closed.shape[0]))
    if len(group) > 1 and not _are_strokes(group, scale):
        fits = np.where(_STROKES_ALONE, np.float32(-1), fits)
    return Word(float(left), float(top), float(right), float(bottom), len(group), fits)


def _are_strokes(group: Int64[np.ndarray, "k 4"], scale: PxPerMm) -> bool:
    """Whether every letter is as narrow as an "I", with serifs or without."""
    widths, heights = (group[:, 2] - group[:, 0]) / scale.x, (group[:, 3] - group[:, 1]) / scale.y
    return bool((widths < WIDEST_STROKE * heights).all())


def _closed_up(
    lettering: Float32[np.ndarray, "h w"], group: Int64[np.ndarray, "k 4"], scale: PxPerMm
) -> Float32[np.ndarray, "h2 w2"] | None:
    """Return the word with its letters set as near as usual; None where they are."""
    top, bottom = int(group[:, 1].min()), int(group[:, 3].max())
    usual = round(USUAL_GAP * (bottom - top) / scale.y * scale.x)
    if (group[1:, 0] - group[:-1, 2]).max() <= 2 * usual:
        return None
    space = np.zeros((bottom - top, usual), np.float32)
    parts = [part for left, _, right, _ in group for part in (lettering[top:bottom, left:right], space)]
    closed: Float32[np.ndarray, "h2 w2"] = np.concatenate(parts[:-1], axis=1)
    return closed


def readable_names(words: Sequence[Word]) -> frozenset[str]:
    """Return the twelve leads' names that can be read at all, but those of strokes alone, which read upside down."""
    known = (word.among(LEADS) for word in words)
    clear = (word.best for word in known if word.n_letters > 1 and _is_legible(word))
    return frozenset(name for name in clear if set(name) != {"I"})


def _is_legible(word: Word) -> bool:
    """Whether a word is one of the names: text that stands on its head is a little like several."""
    return word.fits.max() > CLEAR_FIT or bool(word.fits.max() > LEGIBLE_FIT and word.margin > MIN_MARGIN)


def _inked(ink: Float32[np.ndarray, "h w"], probability: Float32[np.ndarray, "h2 w2"]) -> Bool[np.ndarray, "h w"]:
    """Return the ink where a class is likely, and a pixel around."""
    likely = cv2.resize(probability, ink.shape[::-1], interpolation=cv2.INTER_LINEAR) > LIKELY
    near = cv2.dilate(likely.astype(np.uint8), np.ones((3, 3), np.uint8))
    inked: Bool[np.ndarray, "h w"] = (near > 0) & (ink > INK_THRESHOLD)
    return inked


def along(rows: Sequence[RowTrace], shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Return the pixels that rows run through, and a pixel above and below."""
    steps = np.zeros((shape[0] + 1, shape[1]), np.int8)
    for row in rows:
        at = np.flatnonzero(np.isfinite(row.y))
        steps[np.clip(np.floor(row.top[at]) - 1, 0, shape[0]).astype(int), at] += 1
        steps[np.clip(np.ceil(row.bottom[at]) + 2, 0, shape[0]).astype(int), at] -= 1
    covered: Bool[np.ndarray, "h w"] = np.cumsum(steps[:-1], axis=0, dtype=np.int8) > 0
    return covered


def _letters(printed: Bool[np.ndarray, "h w"], scale: PxPerMm) -> Int64[np.ndarray, "n 4"]:
    """Return the boxes (left, top, right, bottom) of pieces of the size of a letter, from left to right."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(printed.astype(np.uint8), connectivity=8)
    x, y, width, height = (stats[1:, k].astype(np.int64) for k in range(4))
    size = (
        (height / scale.y > LETTER_HEIGHT_MM[0])
        & (height / scale.y < LETTER_HEIGHT_MM[1])
        & (width / scale.x < LETTER_WIDTH_MM)
    )
    boxes = np.stack([x, y, x + width, y + height], axis=1)[size]
    result: Int64[np.ndarray, "n 4"] = boxes[np.argsort(boxes[:, 0], kind="stable")]
    return result


def _grouped(letters: Int64[np.ndarray, "n 4"], scale: PxPerMm, gap: float) -> list[Int64[np.ndarray, "k 4"]]:
    """Put letters that stand on one line, nearer than `gap` of their height, into words."""
    groups: list[list[Int64[np.ndarray, " 4"]]] = []
    for letter in letters:
        for group in reversed(groups):
            before = group[-1]
            height = max(before[3] - before[1], letter[3] - letter[1])
            gap_mm = (letter[0] - before[2]) / scale.x
            level = abs(letter[3] - before[3]) < LINE_TOLERANCE * height
            if level and gap_mm < gap * height / scale.y:
                group.append(letter)
                break
        else:
            groups.append([letter])
    return [np.stack(group) for group in groups if len(group) <= MAX_LETTERS]


def _spaced(
    letters: Int64[np.ndarray, "n 4"], groups: Sequence[Int64[np.ndarray, "k 4"]], scale: PxPerMm
) -> list[Int64[np.ndarray, "k 4"]]:
    """Return words of letters that stand apart, evenly, and further from all other print."""
    known = {group.tobytes() for group in groups}
    found = []
    for group in _grouped(letters, scale, SPACED_GAP):
        height_mm = (group[:, 3].max() - group[:, 1].min()) / scale.y
        gaps_mm = (group[1:, 0] - group[:-1, 2]) / scale.x
        even = len(gaps_mm) > 0 and float(np.ptp(gaps_mm)) < EVEN_GAPS * height_mm
        if even and len(group) <= SPACED_LETTERS and group.tobytes() not in known:
            found.append(group)
    return found


def fit_names(word: Float32[np.ndarray, "h w"], aspect: float) -> Float32[np.ndarray, " names"]:
    """Return how well each name fits a word cut out tightly: the best correlation over the typefaces.

    `aspect` is the word's width over its height in millimetres. A template of another aspect pays for the difference.
    """
    fits = np.full(len(ALL_LEADS), -1.0, np.float32)
    for width, group in _templates().items():
        away = max(0.0, abs(np.log(aspect * TEMPLATE_HEIGHT / width)) - ASPECT_TOLERANCE)
        if away > 1.0:
            continue
        interpolation = cv2.INTER_AREA if word.shape[0] > TEMPLATE_HEIGHT else cv2.INTER_LINEAR
        resized = cv2.resize(word, (width, TEMPLATE_HEIGHT), interpolation=interpolation)
        np.maximum.at(fits, group.leads, group.shapes @ _shape(resized) - away)
    return fits


@dataclass(frozen=True, eq=False)
class _Templates:
    """Names drawn at one width: the lead of each, and its shape as `_shape` gives it."""

    leads: Int64[np.ndarray, " n"]
    shapes: Float32[np.ndarray, "n pixels"]


def _shape(letters: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, " pixels"]:
    """Return letters as a vector of mean 0 and length 1: the product of two is their correlation."""
    # paper around: an "I" is ink nearly everywhere in its own box and would have no contrast to correlate
    framed = cv2.copyMakeBorder(letters, FRAME, FRAME, FRAME, FRAME, cv2.BORDER_CONSTANT, value=0.0)
    blurred = cv2.GaussianBlur(framed, (5, 5), 1.2).ravel()
    centred = blurred - blurred.mean()
    shape: Float32[np.ndarray, " pixels"] = centred / max(float(np.linalg.norm(centred)), 1e-4)
    return shape


@cache
def _templates() -> Mapping[int, _Templates]:
    """Return the names in every typeface, by their width at TEMPLATE_HEIGHT."""
    drawn: list[tuple[int, UInt8[np.ndarray, "h w"]]] = []
    for index, name in ((index, name) for index, lead in enumerate(ALL_LEADS) for name in _spellings(lead)):
        for font in ("sans", "serif", "mono"):
            drawn.append((index, draw_texts([Text(name, 4.0, 20.0, 16.0)], font, (4.0, 4.0), (120, 400))[0]))
        for face, thickness in _HERSHEY:
            sheet = np.zeros((120, 400), np.uint8)
            cv2.putText(sheet, name, (10, 90), face, 2.5, 255, thickness, cv2.LINE_AA)
            drawn.append((index, sheet))
    by_width: dict[int, list[tuple[int, Float32[np.ndarray, " pixels"]]]] = {}
    for index, sheet in drawn:
        template = _template(sheet)
        by_width.setdefault(template.shape[1], []).append((index, _shape(template)))
    return {
        width: _Templates(np.array([lead for lead, _ in group]), np.stack([shape for _, shape in group]))
        for width, group in by_width.items()
    }


def _spellings(lead: str) -> tuple[str, ...]:
    """Return how machines print a lead's name: aVR also as AVR, V1 also as v1 and C1 (as in parts of Europe)."""
    if lead.startswith("aV"):
        return (lead, lead.upper())
    return (lead, lead.lower(), f"C{lead[1:]}") if lead.startswith("V") else (lead,)


def _template(sheet: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    inked: Bool[np.ndarray, "h w"] = sheet > 64
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    tight = sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / 255
    width = max(4, round(tight.shape[1] * TEMPLATE_HEIGHT / tight.shape[0]))
    result: Float32[np.ndarray, "h w"] = cv2.resize(tight, (width, TEMPLATE_HEIGHT), interpolation=cv2.INTER_AREA)
    return result
