"""Print read by RapidOCR (PP-OCR's models, which come in its package): the extra `words`.

Lines are found on a page of FIND_PX_PER_MM and read at the page's own resolution. Only lines that are long enough to
hold a number with its unit are read: labels of leads have their own reader. A line that states a speed or a gain is
read a second time, with the grid's colour taken off: a line of the grid makes another digit of a 1.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.words.printed_word import PrintedWord, WordReader
from ecg_flare.digitize.words.statements import read_statements, usual_numbers
from ecg_flare.errors import ConfigError

FIND_PX_PER_MM: Final = 6.0
"""Letters of 2 mm have twelve pixels. On a coarser page some lines of print are not found."""

SHORTEST_MM: Final = 6.0
"""Of a line of print: "25mm/s" in letters of 1.7 mm."""

HIGHEST_MM: Final = 8.0
LEAST_ASPECT: Final = 2.2
MARGIN: Final = 0.3
"""Around a line, as a share of its height: letters are read better with some paper around them."""

INSTALL: Final = "pip install 'ecg_flare[words]'"


def words_installed() -> bool:
    """Whether the library that reads print is there."""
    return all(find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


@cache
def load_word_reader() -> WordReader:
    """Load the library and its models, once a process. Raises ConfigError where it is not installed."""
    if not words_installed():
        raise ConfigError(f"Words cannot be read: rapidocr is not installed ({INSTALL}).")
    return RapidWords()


class RapidWords:
    """Reads the lines of print of a page."""

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
        self._engine: Any = RapidOCR(params={**threads, "Global.use_cls": False, "Global.log_level": "critical"})
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], px_per_mm: float, /) -> tuple[PrintedWord, ...]:
        """Return the lines of print of an upright page, as far as they may hold a number with its unit."""
        found = (self._read(image, box) for box in self._boxes(image, px_per_mm))
        return tuple(word for word in found if word is not None)

    def _boxes(self, image: UInt8[np.ndarray, "h w 3"], px_per_mm: float) -> list[Float64[np.ndarray, "2 2"]]:
        """Return the corners, left top and right bottom, of the lines of print."""
        factor = min(1.0, FIND_PX_PER_MM / px_per_mm)
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if factor < 1.0 else image
        found = self._engine(_bgr(small), use_det=True, use_cls=False, use_rec=False)
        boxes = [] if found.boxes is None else [np.asarray(box, np.float64) / factor for box in found.boxes]
        corners = [np.stack([box.min(axis=0), box.max(axis=0)]) for box in boxes]
        return [box for box in corners if _may_say_something(box[1] - box[0], px_per_mm)]

    def _read(self, image: UInt8[np.ndarray, "h w 3"], box: Float64[np.ndarray, "2 2"]) -> PrintedWord | None:
        (left, top), (right, bottom) = box
        margin = MARGIN * (bottom - top)
        part = image[
            max(0, int(top - margin)) : int(bottom + margin) + 1, max(0, int(left - margin)) : int(right + margin) + 1
        ]
        found = self._line(part)
        if found is None:
            return None
        box_px = float(left), float(top), float(right), float(bottom)
        word = PrintedWord(*found, *box_px)
        if not read_statements((word,)).statements:
            return word
        again = self._line(without_colour(part))
        second = None if again is None else PrintedWord(*again, *box_px)
        return confirmed(word, second)

    def _line(self, part: UInt8[np.ndarray, "h w 3"]) -> tuple[str, float] | None:
        """The text of one line of print, and how sure it is; None where there is none."""
        if not part.size:
            return None
        read = self._engine(_bgr(part), use_det=False, use_cls=False, use_rec=True)
        return (str(read.txts[0]), float(read.scores[0])) if read.txts else None


def without_colour(part: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """A picture in which colours are as light as the lightest of their three parts, enlarged twice: print is black."""
    lightest = part.max(axis=2)
    enlarged = cv2.resize(lightest, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return np.repeat(enlarged[..., None], 3, axis=2)


def confirmed(word: PrintedWord, again: PrintedWord | None) -> PrintedWord:
    """The line with what two readings of it are worth together: nothing, where they have other numbers.

    Numbers count that machines print. A second reading without any takes nothing from the first one.
    """
    if again is None:
        return word
    stated = [each.value for each in read_statements((word,)).statements]
    seen = usual_numbers(again.text)
    return replace(word, score=0.0) if seen and not set(stated) <= set(seen) else word


def _may_say_something(size_px: Float64[np.ndarray, " 2"], px_per_mm: float) -> bool:
    width_px, height_px = (float(side) for side in size_px)
    long_enough = width_px >= max(SHORTEST_MM * px_per_mm, LEAST_ASPECT * height_px)
    return long_enough and height_px <= HIGHEST_MM * px_per_mm


def _bgr(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(image[..., ::-1])
