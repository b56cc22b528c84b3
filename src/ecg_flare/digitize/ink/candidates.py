"""Which segmenters read a page, one after another, until a reading leaves no doubt.

The classical segmenter is the quickest, and reads most pages best. Where it loses a part of a line, the bundled model
mostly has it: together they have the most. On a bad photograph the classical segmenter takes shadows and folds for
lines, and the model alone reads best. Registered segmenters join them where they ask for a place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.ink.probabilities import Probabilities
from ecg_flare.digitize.ink.segmenters import AUTO, JOIN, Segmenter, auto_names, load_segmenter, segment
from ecg_flare.page.raster import Label


def load_segmenters(name: str) -> tuple[Segmenter, ...]:
    """Return the segmenters of that name, in the order in which they are tried.

    "auto" is the classical one, the bundled model joined with it, and the model alone, with the registered ones in
    their places; without the model and others, the classical one. Each is loaded for the first page that needs it. Any
    other name is one segmenter, or raises ConfigError.
    """
    return _in_turn(auto_names()) if name == AUTO else (load_segmenter(name),)


@cache
def _in_turn(names: tuple[str, ...]) -> tuple[Segmenter, ...]:
    """The segmenters of these names; one that stands alone and in a join answers once for both."""
    if len(names) == 1:
        return (load_segmenter(names[0]),)
    parts = dict.fromkeys(part for name in names for part in name.split(JOIN))
    loaded = {part: Remembering(part, partial(load_segmenter, part)) for part in parts}
    return tuple(
        loaded[name] if name in loaded else _Joined(*(loaded[part] for part in name.split(JOIN))) for name in names
    )


class _Joined:
    """Two segmenters as one."""

    def __init__(self, first: Segmenter, second: Segmenter) -> None:
        self._first, self._second = first, second

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], /) -> Probabilities:
        return joined(segment(self._first, image), segment(self._second, image))


def joined(first: Probabilities, second: Probabilities) -> Probabilities:
    """Return the first one's probabilities, but for the trace: there, the greater of both."""
    trace = np.maximum(first[Label.TRACE], second[Label.TRACE])
    others = np.maximum(1.0 - first[Label.TRACE], 1e-6)
    probabilities: Probabilities = first * ((1.0 - trace) / others)[None]
    probabilities[Label.TRACE] = trace
    return probabilities


class Remembering:
    """A segmenter that is loaded when it is first asked, and answers again at once where it is asked the same again."""

    def __init__(self, name: str, load: Callable[[], Segmenter]) -> None:
        self.__name__ = name
        self._load = load
        self._segmenter: Segmenter | None = None
        self._last: tuple[UInt8[np.ndarray, "h w 3"], Probabilities] | None = None

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], /) -> Probabilities:
        last = self._last
        if last is not None and last[0] is image:
            return last[1]
        if self._segmenter is None:
            self._segmenter = self._load()
        found = self._segmenter(image)
        self._last = (image, found)
        return found
