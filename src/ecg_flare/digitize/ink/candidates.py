"""Which segmenters read a page, one after another, until a reading leaves no doubt.

The classical segmenter is the quickest, and reads most pages best. Where it loses a part of a line, the bundled model
mostly has it: together they have the most. On a bad photograph the classical segmenter takes shadows and folds for
lines, and the model alone reads best.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.ink.segment import (
    AUTO,
    Probabilities,
    Segmenter,
    classical_segmenter,
    load_segmenter,
    offered_segmenters,
)
from ecg_flare.page.raster import Label

BUNDLED: Final = "bundled"


def load_segmenters(name: str) -> tuple[Segmenter, ...]:
    """Return the segmenters of that name, in the order in which they are tried.

    "auto" is the classical one, the bundled model joined with it, and the model alone; without the model, the classical
    one. The model is loaded for the first page that needs it. Any other name is one segmenter, or raises ConfigError.
    """
    return _auto() if name == AUTO else (load_segmenter(name),)


@cache
def _auto() -> tuple[Segmenter, ...]:
    if BUNDLED not in offered_segmenters():
        return (classical_segmenter,)
    classical = Remembering(lambda: classical_segmenter)
    bundled = Remembering(lambda: load_segmenter(BUNDLED))
    return classical, lambda image: joined(bundled(image), classical(image)), bundled


def joined(first: Probabilities, second: Probabilities) -> Probabilities:
    """Return the first one's probabilities, but for the trace: there, the greater of both."""
    trace = np.maximum(first[Label.TRACE], second[Label.TRACE])
    others = np.maximum(1.0 - first[Label.TRACE], 1e-6)
    probabilities: Probabilities = first * ((1.0 - trace) / others)[None]
    probabilities[Label.TRACE] = trace
    return probabilities


class Remembering:
    """A segmenter that is loaded when it is first asked, and answers again at once where it is asked the same again."""

    def __init__(self, load: Callable[[], Segmenter]) -> None:
        self._load = load
        self._segmenter: Segmenter | None = None
        self._last: tuple[UInt8[np.ndarray, "h w 3"], Probabilities] | None = None

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> Probabilities:
        last = self._last
        if last is not None and last[0] is image:
            return last[1]
        if self._segmenter is None:
            self._segmenter = self._load()
        found = self._segmenter(image)
        self._last = (image, found)
        return found
