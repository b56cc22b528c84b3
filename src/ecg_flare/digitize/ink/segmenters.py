"""Who says where the ink is: the segmenters by name, and the order in which "auto" tries them.

A segmenter is any callable from a page at NORMALIZED_PX_PER_MM to class probabilities. Names are known from three
places: the classical one is always here; "bundled" is an entry point, so that this package knows nothing of nnU-Net; an
extension that the owner of the machine names calls `register_segmenter`. An entry point of another package is not
loaded: what is installed beside this package must not run because a page is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.ink.probabilities import Probabilities, check_probabilities
from ecg_flare.errors import ConfigError

SEGMENTER_GROUP: Final = "ecg_flare.segmenters"
SEGMENTERS: Final = {"bundled": "ecg_flare.task.traces.predictor:bundled_segmenter"}
"""The entry points of SEGMENTER_GROUP that are loaded, by name; what another package puts there is not."""

AUTO: Final = "auto"
"""The name of several segmenters, tried in turn: `candidates.load_segmenters`."""

CLASSICAL, BUNDLED = "classical", "bundled"
JOIN: Final = "+"
"""Between two names: the first one's probabilities with the second one's trace added."""

AUTO_PLACES: Final = {CLASSICAL: 10, f"{BUNDLED}{JOIN}{CLASSICAL}": 20, BUNDLED: 30}
"""Where the package's own segmenters stand in "auto"; smaller numbers are tried first."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]*")


class Segmenter(Protocol):
    """A function of a page image at NORMALIZED_PX_PER_MM, RGB, to its class probabilities at the same size."""

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], /) -> Probabilities:
        """Return float32 (4, h, w), in the order of `Label`, summing to 1 in each pixel."""
        ...


@dataclass(frozen=True)
class _Registered:
    load: Callable[[], Segmenter]
    auto: int | None


_registered: dict[str, _Registered] = {}


def register_segmenter(name: str, load: Callable[[], Segmenter], *, auto: int | None = None) -> None:
    """Make a segmenter known by a name, for extensions that the owner of the machine lists.

    `load` takes no arguments, returns the segmenter, and is called when the first page needs it. `auto` is its place
    among those that "auto" tries in turn, smaller first (AUTO_PLACES: 10, 20 and 30 are taken by the package's own, and
    equal places keep the order of registration); None leaves "auto" as it is.

    Raises ConfigError for a name that is taken or is not lower-case letters, digits, ".", "_" and "-", for a loader
    that is not callable, and for a place that is not a whole number.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"a segmenter's name is {name!r}; expected lower-case letters, digits, '.', '_' and '-', a letter first"
        )
    if name in (AUTO, CLASSICAL, *SEGMENTERS):
        raise ConfigError(f"the segmenter name {name!r} is the package's own: register yours by another name")
    if name in _registered:
        raise ConfigError(f"a segmenter called {name!r} is registered already: register one of them by another name")
    if not callable(load):
        raise ConfigError(
            f"the loader of segmenter {name!r} is {type(load).__name__}; expected a function without arguments"
        )
    if auto is not None and (isinstance(auto, bool) or not isinstance(auto, int)):
        raise ConfigError(f"auto is {auto!r} for segmenter {name!r}; expected a whole number, or None")
    _registered[name] = _Registered(load, auto)


def segmenter_names() -> tuple[str, ...]:
    """The names that `load_segmenter` knows here: the classical one, those installed, those registered."""
    return CLASSICAL, *sorted(offered_segmenters()), *sorted(_registered)


def auto_names() -> tuple[str, ...]:
    """The names that "auto" stands for, in the order in which they are tried; joined ones have a JOIN between them."""
    known = segmenter_names()
    places = {name: at for name, at in AUTO_PLACES.items() if all(part in known for part in name.split(JOIN))}
    places |= {name: entry.auto for name, entry in _registered.items() if entry.auto is not None}
    return tuple(sorted(places, key=lambda name: places[name]))


def load_segmenter(name: str) -> Segmenter:
    """Return the segmenter of that name: "classical", one of SEGMENTERS, or a registered one.

    Raises ConfigError for any other name, and for a loader that returns no callable.
    """
    if name == CLASSICAL:
        return classical_segmenter
    offered = offered_segmenters()
    if name in offered:
        load: Callable[[], Segmenter] = offered[name].load()
    elif name in _registered:
        load = _registered[name].load
    else:
        known = ", ".join([AUTO, *segmenter_names()])
        raise ConfigError(f"No segmenter is called {name!r}; expected one of {known}.")
    segmenter = load()
    if not callable(segmenter):
        raise ConfigError(
            f"the loader of segmenter {name!r} returned {type(segmenter).__name__}; expected a function of an image"
        )
    return segmenter


def offered_segmenters() -> dict[str, EntryPoint]:
    """The entry points of SEGMENTERS that are installed, by name."""
    found = entry_points(group=SEGMENTER_GROUP)
    return {entry.name: entry for entry in found if SEGMENTERS.get(entry.name) == entry.value}


def segment(segmenter: Segmenter, image: UInt8[np.ndarray, "h w 3"]) -> Probabilities:
    """Ask a segmenter for a page's class probabilities, and check them.

    Raises ConfigError for an answer that is none, as `check_probabilities` does.
    """
    name = getattr(segmenter, "__name__", type(segmenter).__name__)
    return check_probabilities(segmenter(image), (image.shape[0], image.shape[1]), name)
