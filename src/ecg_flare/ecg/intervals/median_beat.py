"""The typical beat of each lead: the median over the beats that look alike, all on one time axis.

Machines measure intervals on such a representative beat, not on single ones (Kligfield et al. 2007, "Recommendations
for the standardization and interpretation of the electrocardiogram, part I", Circulation 115:1306): noise falls, and
ectopic beats stay out. On a page whose leads follow each other in time, beats are aligned by the leads that go on all
the time, a rhythm strip for one. Where none does, leads that are printed together make a group of their own.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

BEFORE_S: Final = 0.45
AFTER_S: Final = 0.70
BEFORE_RR, AFTER_RR = 0.55, 0.85
"""A beat reaches from its QRS so far back and ahead, and no further than these shares of the beat-to-beat interval."""

HALF_S: Final = 0.10
"""Half of the stretch that beats are compared and aligned by."""

LONGEST_SHIFT_S: Final = 0.05
ALIKE: Final = 0.85
"""Correlation of a beat's complex with the typical one; a lower one is of another kind, an ectopic beat for one."""

WHOLE: Final = 0.85
"""A lead of this share of all the time that is known goes on all the time."""

TOGETHER_S: Final = 0.15
"""Leads that begin and end within this time of each other are printed together."""


@dataclass(frozen=True, eq=False)
class MedianBeat:
    """The median beat of leads that are on one time axis.

    Attributes:
        leads: rows of the recording that it has.
        signal_mv: a row a lead, zero at its own level before the QRS complex, NaN where no beat shows it.
        origin: the sample that beats are aligned at, within the QRS complex.
        beats_mv: the single beats that it was made of, each like `signal_mv`.
    """

    leads: tuple[int, ...]
    signal_mv: Float64[np.ndarray, "leads samples"]
    origin: int
    beats_mv: Float64[np.ndarray, "beats leads samples"]


def median_beats(
    signal_mv: Float64[np.ndarray, "leads n"], beats: Int64[np.ndarray, " beats"], rr_s: float, fs_hz: float
) -> tuple[MedianBeat, ...]:
    """Return the median beat of each group of leads that is on one time axis; of a group without a beat none."""
    window = _Window(
        round(min(BEFORE_S, BEFORE_RR * rr_s) * fs_hz),
        round(min(AFTER_S, AFTER_RR * rr_s) * fs_hz),
        round(HALF_S * fs_hz),
        round(LONGEST_SHIFT_S * fs_hz),
    )
    found = (_median_beat(signal_mv, beats, group, window) for group in _groups(np.isfinite(signal_mv), fs_hz))
    return tuple(beat for beat in found if beat is not None)


@dataclass(frozen=True)
class _Window:
    """In samples: how far a beat reaches before and after, half its complex, how far it may be shifted."""

    before: int
    after: int
    half: int
    shift: int


@dataclass(frozen=True)
class _Group:
    """Leads on one time axis, and those of them that beats are aligned by."""

    leads: tuple[int, ...]
    aligned_by: tuple[int, ...]


def _groups(known: Bool[np.ndarray, "leads n"], fs_hz: float) -> list[_Group]:
    time = known.sum(axis=1)
    printed = tuple(int(lead) for lead in np.flatnonzero(time))
    whole = tuple(lead for lead in printed if time[lead] >= WHOLE * known.any(axis=0).sum())
    if whole:
        return [_Group(printed, whole)]
    groups: dict[tuple[int, int], list[int]] = {}
    for lead in printed:
        at = np.flatnonzero(known[lead])[[0, -1]]
        near = [key for key in groups if np.abs(np.subtract(key, at)).max() <= TOGETHER_S * fs_hz]
        groups.setdefault(near[0] if near else (int(at[0]), int(at[1])), []).append(lead)
    return [_Group(tuple(leads), tuple(leads)) for leads in groups.values()]


def _median_beat(
    signal_mv: Float64[np.ndarray, "leads n"], beats: Int64[np.ndarray, " beats"], group: _Group, window: _Window
) -> MedianBeat | None:
    reference = signal_mv[list(group.aligned_by)]
    at = _aligned(reference, beats, window)
    if len(at) == 0:
        return None
    cut = _cut(signal_mv[list(group.leads)], at, window.before, window.after)
    level = slice(window.before - window.half, window.before - window.half // 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a lead may show none of these beats
        cut -= np.nanmedian(cut[:, :, level], axis=2)[:, :, None]
        median = np.nanmedian(cut, axis=0)
    has = np.isfinite(median[:, window.before - window.half : window.before + window.half]).all(axis=1)
    if not has.any():
        return None
    leads = tuple(lead for lead, shown in zip(group.leads, has, strict=True) if shown)
    return MedianBeat(leads, median[has], window.before, cut[:, has])


def _cut(
    signal_mv: Float64[np.ndarray, "leads n"], at: Int64[np.ndarray, " beats"], before: int, after: int
) -> Float64[np.ndarray, "beats leads samples"]:
    """Return the signal around each beat, NaN beyond its ends."""
    padded = np.pad(signal_mv, ((0, 0), (before, after)), constant_values=np.nan)
    return np.stack([padded[:, beat : beat + before + after] for beat in at])


def _aligned(
    reference: Float64[np.ndarray, "leads n"], beats: Int64[np.ndarray, " beats"], window: _Window
) -> Int64[np.ndarray, " kept"]:
    """Return the beats of the commonest kind, each moved to where it fits the others best; none without a lead."""
    reach = window.half + window.shift
    cut = _cut(reference, beats, reach, reach) if len(beats) else np.zeros((0, len(reference), 2 * reach))
    whole = np.isfinite(cut).all(axis=(1, 2))
    cut, at = cut[whole], beats[whole]
    if len(at) == 0:
        return at
    shifts = range(2 * window.shift + 1)
    places = np.stack([cut[:, :, shift : shift + 2 * window.half] for shift in shifts], axis=1)
    shapes = _normalized(places)
    middle = shapes[:, window.shift]
    template = middle[int(np.argmax((middle @ middle.T).sum(axis=1)))]
    for _ in range(2):
        likeness = shapes @ template
        best = likeness.argmax(axis=1)
        fits = likeness.max(axis=1) >= ALIKE
        template = _normalized(np.median(places[np.arange(len(at)), best][fits], axis=0)) if fits.any() else template
    moved: Int64[np.ndarray, " kept"] = (at + best - window.shift)[fits]
    return moved


def _normalized(places: Float64[np.ndarray, "... leads samples"]) -> Float64[np.ndarray, "... values"]:
    """Return the shapes as vectors of length one, each lead without its mean."""
    centred = places - places.mean(axis=-1, keepdims=True)
    flat = centred.reshape(*centred.shape[:-2], -1)
    shapes: Float64[np.ndarray, "... values"] = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-9)
    return shapes
