"""Beats of a lead that are unlike its others, where the other leads' beats are alike: a peak was lost or invented.

A heart repeats itself. An extra beat, or one of another shape, shows in all leads at that time; a tip that went to
another row, or a letter that stands on a peak, shows in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.beats import activity
from ecg_flare.ecg.record import Recording

BEFORE_S, AFTER_S = 0.06, 0.08
"""Of a beat that is compared, from the time at which the leads are steepest: its QRS complex."""

SLACK_S: Final = 0.012
"""Beats are moved by up to this, so that each lies best on the others."""

SMOOTHING_S: Final = 0.04
SHORTEST_S: Final = 0.3
"""From beat to beat."""

LOUD: Final = 0.4
"""Of the steepest beats' activity: what a beat must have."""

UNLIKE: Final = 0.1
"""A beat is odd if it differs from its lead's others by more than this share of their power."""

ALONE: Final = 3.0
"""And if it differs by this many times as much as the beats of the other leads at that time do."""

FEW_BEATS: Final = 2


@dataclass(frozen=True)
class OddBeat:
    """A beat of `lead` at `time_s` that differs from the lead's others: by `energy`, in mV^2 times seconds."""

    lead: str
    time_s: float
    energy: float


def beat_samples(recording: Recording) -> tuple[int, ...]:
    """Return at which samples the heart beats, by the steepness of all leads that were read at each time."""
    from scipy.signal import find_peaks

    read = [lead.astype(np.float64) for lead in recording.signal_mv if np.isfinite(lead).any()]
    if not read:
        return ()
    steep = activity(read, round(SMOOTHING_S * recording.fs_hz))
    known = np.isfinite(np.stack(read)).sum(axis=0)
    steep = steep / np.maximum(known, 1)
    least = LOUD * float(np.percentile(steep, 98))
    if least <= 0:
        return ()
    peaks, _ = find_peaks(steep, height=least, distance=max(1, round(SHORTEST_S * recording.fs_hz)))
    return tuple(int(peak) for peak in peaks)


def odd_beats(recording: Recording) -> tuple[OddBeat, ...]:
    """Return every beat of a lead that is unlike its others while those of the other leads are alike."""
    beats = beat_samples(recording)
    if len(beats) < FEW_BEATS:
        return ()
    pairs = [_differences(lead.astype(np.float64), beats, recording.fs_hz) for lead in recording.signal_mv]
    energy = np.stack([differs for differs, _ in pairs])
    share = energy / np.maximum([[power] for _, power in pairs], 1e-9)
    found = []
    for row, number in np.argwhere(share > UNLIKE):
        others = np.delete(share[:, number], row)
        others = others[np.isfinite(others)]
        if len(others) and share[row, number] > ALONE * float(np.median(others)):
            name, time_s = recording.lead_names[row], beats[number] / recording.fs_hz
            found.append(OddBeat(name, time_s, float(energy[row, number]) / recording.fs_hz))
    return tuple(found)


def _differences(
    lead_mv: Float64[np.ndarray, " samples"], beats: Sequence[int], fs_hz: float
) -> tuple[Float64[np.ndarray, " beats"], float]:
    """Return how much each beat differs from the lead's typical one (NaN where not read), and that one's power."""
    before, after, slack = (round(seconds * fs_hz) for seconds in (BEFORE_S, AFTER_S, SLACK_S))
    differs = np.full(len(beats), np.nan)
    inside = [
        (number, lead_mv[beat - before - slack : beat + after + slack])
        for number, beat in enumerate(beats)
        if beat >= before + slack and beat + after + slack <= len(lead_mv)
    ]
    whole = [(number, part) for number, part in inside if np.isfinite(part).all()]
    if len(whole) < FEW_BEATS:
        return differs, 0.0
    width = before + after
    parts = np.stack([part for _, part in whole])
    parts = parts - np.median(parts, axis=1, keepdims=True)
    windows = np.lib.stride_tricks.sliding_window_view(parts, width, axis=1)
    typical = np.median(windows[:, slack], axis=0)
    for _ in range(2):
        distance = ((windows - typical) ** 2).sum(axis=2)
        best = windows[np.arange(len(windows)), distance.argmin(axis=1)]
        typical = np.median(best, axis=0)
    differs[[number for number, _ in whole]] = ((best - typical) ** 2).sum(axis=1)
    return differs, float((typical**2).sum())
