"""The heart's beats along the rows: alike as long as a row shows one lead, unlike where the next lead begins.

A beat of one lead looks as the one before it did. Leads that follow each other in a row look at the heart from
elsewhere, and most of their beats differ in size, sign or form. All rows together say it clearly: across a border their
mean beats differ by as much as they hold (0 dB and less), within one lead by a tenth of that or less (10 dB and more).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from ecg_flare.digitize.beats import MIN_SAMPLES, activity
from ecg_flare.digitize.leads.physiology import correlation
from ecg_flare.digitize.trace.raster import RASTER_MM, RowRaster

SMOOTHING_S: Final = 0.04
BEAT_S: Final = (0.12, 0.30)  # before and after the steepest place of a beat: the QRS and most of the T wave
APART_S: Final = 0.35  # beats follow each other at 170 a minute at most
STEEP: Final = 0.35  # of the steepest beats' activity
JITTER: Final = 4  # samples by which two mean beats may be shifted against each other


@dataclass(frozen=True, eq=False)
class RowBeats:
    """Every beat of some rows: where it stands (samples of the raster), and the rows around it, in mm.

    `reach` is how many samples before and after its place a beat has.
    """

    at: Int64[np.ndarray, " beats"]
    shape: Float64[np.ndarray, "beats rows n"]
    reach: tuple[int, int]

    def alike_db(self, first: tuple[int, int], second: tuple[int, int]) -> float | None:
        """Return how alike the mean beats of two stretches (begin and end, in samples) are, in dB.

        It is the power of the beats over that of what is left when one is taken from the other. None where a stretch
        holds no whole beat.
        """
        one, other = self._mean(first), self._mean(second)
        return None if one is None or other is None else _alike_db(one, other)

    def _mean(self, stretch: tuple[int, int]) -> Float64[np.ndarray, "rows n"] | None:
        inside = (self.at - self.reach[0] >= stretch[0]) & (self.at + self.reach[1] <= stretch[1])
        if not inside.any():
            return None
        mean: Float64[np.ndarray, "rows n"] = np.median(self.shape[inside], axis=0)
        return mean


def find_beats(rows: RowRaster, speed_mm_per_s: float, numbers: Sequence[int]) -> RowBeats:
    """Return the beats that the rows of these numbers show together."""
    chosen = [rows.y_mm[number] for number in numbers]
    lines = np.stack([_bridged(line) for line in chosen])
    return _beats_of(lines, activity(chosen, _samples(SMOOTHING_S, speed_mm_per_s)), speed_mm_per_s)


def beat_together(rows: RowRaster, speed_mm_per_s: float) -> float | None:
    """Return how well the rows beat at the same places: the median correlation of a row's beats with all others'.

    Rows that were recorded at one time reach 0.5 and more; those of one lead that goes on from row to row are near 0.
    None for less than two rows that are no straight line.
    """
    width = _samples(SMOOTHING_S, speed_mm_per_s)
    each = [own for own in (activity([line], width) for line in rows.y_mm) if np.ptp(own) > 0]
    if len(each) < 2:
        return None
    together = np.sum(each, axis=0)
    return float(np.median([correlation(own, together - own) for own in each]))


def rows_alike_db(rows: RowRaster, speed_mm_per_s: float) -> float | None:
    """Return how alike the rows' own beats are, wherever they stand: of the row least like the first one, in dB."""
    width = _samples(SMOOTHING_S, speed_mm_per_s)
    means = []
    for line in rows.y_mm:
        own = _beats_of(_bridged(line)[None], activity([line], width), speed_mm_per_s)
        if not len(own.at):
            return None
        means.append(np.median(own.shape, axis=0))
    return min((_alike_db(means[0], mean) for mean in means[1:]), default=None)


def _samples(seconds: float, speed_mm_per_s: float) -> int:
    return max(1, round(seconds * speed_mm_per_s / RASTER_MM))


def _beats_of(
    lines: Float64[np.ndarray, "rows n"], steepness: Float64[np.ndarray, " n"], speed_mm_per_s: float
) -> RowBeats:
    before, after = (_samples(seconds, speed_mm_per_s) for seconds in BEAT_S)
    highest = float(np.quantile(steepness, 0.98))
    at = _peaks(steepness, max(STEEP * highest, 1e-9), _samples(APART_S, speed_mm_per_s))
    at = at[(at >= before) & (at + after <= lines.shape[1])]
    cut = np.stack([lines[:, place - before : place + after] for place in at]) if len(at) else np.zeros((0, 1, 1))
    return RowBeats(at, cut - np.median(cut, axis=2, keepdims=True), (before, after))


def _peaks(values: Float64[np.ndarray, " n"], least: float, distance: int) -> Int64[np.ndarray, " k"]:
    """Return the places of the highest values, each farther than a distance from every higher one."""
    inner = values[1:-1]
    found = np.flatnonzero((inner >= values[:-2]) & (inner > values[2:]) & (inner >= least)) + 1
    kept: list[int] = []
    for place in found[np.argsort(-values[found], kind="stable")]:
        if all(abs(place - other) >= distance for other in kept):
            kept.append(int(place))
    return np.array(sorted(kept), np.int64)


def _bridged(line: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return a row without gaps: straight lines where ink is missing, all 0 where nearly all of it is."""
    known = np.flatnonzero(np.isfinite(line))
    if len(known) < MIN_SAMPLES:
        return np.zeros(len(line))
    bridged: Float64[np.ndarray, " n"] = np.interp(np.arange(len(line)), known, line[known])
    return bridged


def _alike_db(one: Float64[np.ndarray, "rows n"], other: Float64[np.ndarray, "rows n"]) -> float:
    """Return the power of two beats over that of their difference, in dB, shifted to where it is least."""
    kept = slice(JITTER, one.shape[1] - JITTER)
    best = -np.inf
    for shift in range(-JITTER, JITTER + 1):
        moved = other[:, kept.start + shift : kept.stop + shift]
        power = float((one[:, kept] ** 2).sum() + (moved**2).sum()) / 2
        left = float(((one[:, kept] - moved) ** 2).sum())
        best = max(best, 10 * np.log10(max(power, 1e-9) / max(left, 1e-6 * max(power, 1e-9))))
    return float(best)
