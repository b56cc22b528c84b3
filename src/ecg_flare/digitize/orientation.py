"""Which way up a page lies: what it prints decides, and a page that says nothing is read as it was handed in.

| witness | says | asked |
|---|---|---|
| calibration pulses | up or down (measure/scaled_page.py) | always |
| leads' names that read one way up only, a layout that fits | up | where the first segmenter has read the page |
| letters of any kind (print_direction.py) | the axis of lines, mostly which end is up | where names and layout do not |
| the page read another way up | whether names, layout or pulses speak for that way | where letters do not say either |

A page is turned by a witness alone, never by a confidence that is a little greater, and every turn is told. The first
segmenter finds the way up; the others read the page that way alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.confidence import UNKNOWN_WAY_UP
from ecg_flare.digitize.ink.segmenters import Segmenter
from ecg_flare.digitize.measure.scaled_page import HUNG, ScaledPage, stand_upright
from ecg_flare.digitize.measured_page import MeasuredPage
from ecg_flare.digitize.print_direction import UNKNOWN, PrintDirection, read_direction
from ecg_flare.digitize.rectify.normalize import DARK_PAGE, normalize, turn_sideways
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import PageError

UPRIGHT_NAMES: Final = 2  # on real pages not one was read the wrong way up
UPRIGHT_BY_PULSES: Final = 0.9

_BY_PRINT: Final = "its print stands upright that way"
_BY_LAYOUT: Final = "the leads fit a layout that way up alone"
_BY_PULSES: Final = "its calibration pulses stand that way"
_UNDECIDED: Final = "nothing on this page says which way is up: it was read as it was handed in"
_SIDE_ALONE: Final = "the print lies along this page's side, and nothing says which end is up"


class UprightPageError(PageError):
    """A refusal of a page whose leads' names can be read, so that no other way up is worth a trial."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A page read one way up.

    Attributes:
        result: the reading.
        names: the leads' names seen anywhere on it that read only that way (no I, II).
        fits: whether what is on the page, and not what was given, makes its layout sure.
        segmenter: who found its ink.
        measured: the page that it was read from.
    """

    result: Digitization
    names: frozenset[str]
    fits: bool
    segmenter: Segmenter | None = None
    measured: MeasuredPage | None = None

    @property
    def is_upright(self) -> bool:
        """Whether what was read says that this way is up."""
        return self.fits or len(self.names) >= UPRIGHT_NAMES


class Reader(Protocol):
    """Reads a page one way up; both raise PageError where that makes no sense."""

    def look(self, scaled: ScaledPage) -> Trial:
        """Read a page with the first segmenter."""

    def finish(self, scaled: ScaledPage, trial: Trial | None) -> Trial:
        """Read it with the others, too, as far as `trial` leaves a doubt; return the best reading."""


@dataclass(frozen=True, eq=False)
class _Way:
    """One way up, with what the first segmenter read, or why it refused."""

    scaled: ScaledPage
    trial: Trial | None
    refusal: PageError | None

    @property
    def is_settled(self) -> bool:
        if self.trial is None:
            return isinstance(self.refusal, UprightPageError)
        return self.trial.is_upright

    @property
    def stands_by_pulses(self) -> bool:
        return self.scaled.page.upright_confidence > UPRIGHT_BY_PULSES

    def reason_against(self, first: _Way) -> str | None:
        """Return what speaks for this way rather than for `first`, or None."""
        if self.trial is None:
            return None
        known = len(first.trial.names) if first.trial is not None else 0
        if len(self.trial.names) >= known + UPRIGHT_NAMES:
            return f"the names {', '.join(sorted(self.trial.names))} can be read that way up"
        if self.trial.fits:
            return _BY_LAYOUT
        return _BY_PULSES if self.stands_by_pulses else None

    def preference(self) -> float:
        return -1.0 if self.trial is None else self.trial.result.confidence


def read_upright(image: UInt8[np.ndarray, "h w 3"], reader: Reader, clock: Clock) -> Digitization:
    """Read a page the way up that its print, its pulses or its leads speak for, else as it was handed in.

    Every turn is told in a warning. Where nothing decides, a warning says so, and the confidence is UNKNOWN_WAY_UP at
    most. Raises PageError for what is refused.
    """
    with clock.stage("rectify"):
        straight = normalize(image)
    with clock.stage("measure"):
        lying = stand_upright(straight)
    first = _look(lying, reader)
    way, reason, doubt = (first, "", "") if first.is_settled else _find_way(first, reader, clock)
    try:
        trial = reader.finish(way.scaled, way.trial)
    except PageError as error:
        raise _refusal(first.refusal or way.refusal or error, straight.warnings) from None
    return _told(trial, reason, doubt)


def _refusal(error: PageError, notes: Sequence[str]) -> PageError:
    return PageError(f"{error} ({DARK_PAGE})") if DARK_PAGE in notes else error


def _look(scaled: ScaledPage, reader: Reader) -> _Way:
    try:
        return _Way(scaled, reader.look(scaled), None)
    except PageError as error:
        return _Way(scaled, None, error)


def _find_way(first: _Way, reader: Reader, clock: Clock) -> tuple[_Way, str, str]:
    """Return the way up of a page that its first reading does not settle, by what, and the doubt that is left."""
    with clock.stage("measure"):
        printed = _print_of(first.scaled)
    if printed.settled == 0:
        return first, "", ""
    if printed.settled is None and first.stands_by_pulses and 0 in printed.quarter_turns:
        return first, "", ""
    others = []
    for scaled in _other_ways(first.scaled, printed, clock):
        way = _look(scaled, reader)
        reason = _BY_PRINT if printed.settled is not None else way.reason_against(first)
        if reason is not None and (way.trial is not None or printed.settled is not None):
            return way, reason, ""
        others.append(way)
    if 0 in printed.quarter_turns or not others:
        return first, "", _UNDECIDED
    return max(others, key=_Way.preference), "its print does not lie along x", _SIDE_ALONE


def _print_of(scaled: ScaledPage) -> PrintDirection:
    """Read the direction of the print; a page whose grid was not found has no size of letters."""
    grid = scaled.scale.grid
    unit = grid.px_per_mm if grid is not None else _unit_by_pulses(scaled)
    return UNKNOWN if unit is None else read_direction(scaled.page.image, unit)


def _unit_by_pulses(scaled: ScaledPage) -> PxPerMm | None:
    pulses = scaled.scale.pulses
    if not pulses:
        return None
    height = float(np.median([pulse.height_px for pulse in pulses])) / 10.0
    return PxPerMm(height, height)


def _other_ways(lying: ScaledPage, printed: PrintDirection, clock: Clock) -> Iterator[ScaledPage]:
    """Yield the page turned, as far as the print allows it, each way measured when it is asked for."""
    if 2 in printed.quarter_turns:
        yield _by_print(lying.rotated_180()) if printed.settled == 2 else lying.rotated_180()
    sideways = [turns for turns in (1, 3) if turns in printed.quarter_turns]
    if not sideways:
        return
    with clock.stage("measure"):
        upended = stand_upright(turn_sideways(lying.page, sideways[0]))
    if printed.settled is not None:
        wanted = (lying.page.turned_deg - 90 * printed.settled) % 360
        yield upended if upended.page.turned_deg == wanted else _by_print(upended.rotated_180())
        return
    yield upended
    if upended.page.upright_confidence <= UPRIGHT_BY_PULSES:
        yield upended.rotated_180()


def _by_print(scaled: ScaledPage) -> ScaledPage:
    """Return a page that its print turned: what hangs there is no calibration pulse, and no note says that it is."""
    page = replace(scaled.page, upright_confidence=0.5)
    page = replace(page, warnings=tuple(note for note in page.warnings if note != HUNG))
    standing = tuple(pulse for pulse in scaled.scale.pulses if pulse.upright)
    return ScaledPage(page, replace(scaled.scale, pulses=standing))


def _told(trial: Trial, reason: str, doubt: str) -> Digitization:
    """Return the reading with a warning of its turn, and of a way up that nothing decides."""
    result, notes = trial.result, []
    turned = result.page.turned_deg
    told = HUNG in result.warnings
    if turned and not told:
        notes.append(f"the page was turned by {turned} degrees clockwise: {reason or _BY_PULSES}")
    elif turned and turned != 180:
        notes.append(f"the page was turned by {turned} degrees clockwise")
    if doubt and not trial.is_upright:
        notes.append(doubt)
        result = replace(result, confidence=min(result.confidence, UNKNOWN_WAY_UP))
    return replace(result, warnings=(*notes, *result.warnings)) if notes else result
