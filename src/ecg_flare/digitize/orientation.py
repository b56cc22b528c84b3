"""Which way up a page lies: it is read as it lies, and other ways up where that leaves a doubt.

A page is stood up by its calibration pulses where it has them (measure/scaled_page.py). Where it has none, the reading
decides: the leads' names can be read one way up only, and the layout makes sense one way up only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.confidence import CLEARLY_UPRIGHT, SURE_LAYOUT
from ecg_flare.digitize.measure.scaled_page import ScaledPage, stand_upright
from ecg_flare.digitize.rectify.normalize import normalize
from ecg_flare.digitize.result import Digitization
from ecg_flare.errors import PageError

UPRIGHT_NAMES: Final = 2  # on real pages not one was read the wrong way up
UPRIGHT_BY_PULSES: Final = 0.9


class UprightPageError(PageError):
    """A refusal of a page whose leads' names can be read, so that no other way up is worth a trial."""


@dataclass(frozen=True)
class Trial:
    """A page read one way up; `names` are the leads' names seen anywhere on it that read only that way (no I, II)."""

    result: Digitization
    names: frozenset[str]

    @property
    def is_upright(self) -> bool:
        """Whether other ways up need no trial."""
        sure = self.result.layout_confidence >= SURE_LAYOUT or self.result.page.upright_confidence > UPRIGHT_BY_PULSES
        return sure or len(self.names) >= UPRIGHT_NAMES

    def beats(self, other: Trial) -> bool:
        """Whether this way up makes clearly more sense."""
        if abs(len(self.names) - len(other.names)) >= UPRIGHT_NAMES:
            return len(self.names) > len(other.names)
        return self.result.confidence > other.result.confidence + CLEARLY_UPRIGHT


ReadPage = Callable[[ScaledPage, Clock], Trial]
"""Reads a page one way up; raises PageError where that makes no sense."""


def read_upright(image: UInt8[np.ndarray, "h w 3"], read: ReadPage) -> Digitization:
    """Read a page the way up that makes most sense.

    Raises PageError for what is refused as it lies, and makes no sense on its side either.
    """
    best: Trial | None = None
    refusal: PageError | None = None
    for quarter_turns in (0, 1, 3):
        try:
            trial = _read_either_way_up(np.ascontiguousarray(np.rot90(image, quarter_turns)), read)
        except UprightPageError:
            raise
        except PageError as error:
            if quarter_turns == 0:
                refusal = error
            continue
        if quarter_turns:
            trial = replace(trial, result=_turned_by(trial.result, image.shape[:2], quarter_turns))
        if best is None or trial.beats(best):
            best = trial
        if best.is_upright:
            break
    if refusal is not None and (best is None or not best.is_upright):
        raise refusal
    assert best is not None
    return best.result


def _read_either_way_up(image: UInt8[np.ndarray, "h w 3"], read: ReadPage) -> Trial:
    """Read a page as it lies, and turned by half a circle where that leaves a doubt."""
    clock = Clock()
    with clock.stage("rectify"):
        straight = normalize(image)
    with clock.stage("measure"):
        scaled = stand_upright(straight)
    refusal: PageError | None = None
    trial: Trial | None = None
    try:
        trial = read(scaled, clock)
    except PageError as error:
        if scaled.page.upright_confidence > UPRIGHT_BY_PULSES or isinstance(error, UprightPageError):
            raise
        refusal = error
    if trial is not None and trial.is_upright:
        return trial
    try:
        other = read(scaled.rotated_180(), Clock(clock.seconds))
    except PageError as error:
        if trial is None:
            raise refusal or error from None
        return trial
    return other if trial is None or other.beats(trial) else trial


def _turned_by(found: Digitization, shape: tuple[int, int], quarter_turns: int) -> Digitization:
    """Let the homography begin at the picture as it was handed in, before its turn."""
    height, width = shape
    turn = {
        1: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, width - 1.0], [0.0, 0.0, 1.0]]),
        3: np.array([[0.0, -1.0, height - 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    }[quarter_turns]
    page = replace(
        found.page,
        homography=found.page.homography @ turn,
        rotation_deg=found.page.rotation_deg + (90.0 if quarter_turns == 3 else -90.0),
    )
    return replace(found, page=page)
