"""Where the QRS complex begins and ends, in all leads together.

By the spatial velocity, the length of the leads' derivatives taken together: the complex lasts as long as it stands
above its level at rest before and after (van Bemmel, Kors, van Herpen 1990, "Methodology of the modular ECG analysis
system MEANS", Methods of Information in Medicine 29:346).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.ecg.intervals.median_beat import MedianBeat

SIGMA_S: Final = 0.004
"""Of the derivative's Gaussian."""

ABOVE_REST: Final = 0.04
"""Share of the greatest velocity above rest, at which the complex begins and ends."""

PEAK_WITHIN_S: Final = 0.10
REST_FROM_S, REST_TO_S = 0.03, 0.16
"""The level at rest is the least velocity so far from the complex's steepest place."""

REST_S: Final = 0.03
PAUSE_S: Final = 0.016
"""All leads may be level for so long within a complex: at its tip, or at a notch."""

SHORTEST_MS, LONGEST_MS = 50.0, 240.0


@dataclass(frozen=True)
class Complex:
    """The samples of a median beat at which its QRS complex begins and ends."""

    onset: int
    end: int

    def duration_ms(self, fs_hz: float) -> float:
        """Return the QRS duration."""
        return 1000.0 * (self.end - self.onset) / fs_hz


def find_complex(beat: MedianBeat, fs_hz: float) -> Complex | None:
    """Return the QRS complex of a median beat; None for one that is shorter or longer than hearts make it."""
    velocity = spatial_velocity(beat.signal_mv, SIGMA_S * fs_hz)
    near = round(PEAK_WITHIN_S * fs_hz)
    first = max(0, beat.origin - near)
    peak = first + int(velocity[first : beat.origin + near].argmax())
    before = _ends_at(velocity[peak::-1], fs_hz)
    after = _ends_at(velocity[peak:], fs_hz)
    found = Complex(peak - before, peak + after)
    return found if SHORTEST_MS <= found.duration_ms(fs_hz) <= LONGEST_MS else None


def spatial_velocity(signal_mv: Float64[np.ndarray, "leads samples"], sigma: float) -> Float64[np.ndarray, " samples"]:
    """Return the length of the leads' derivatives, mV a sample; a lead adds nothing where it is NaN."""
    from scipy.ndimage import gaussian_filter1d

    known = np.isfinite(signal_mv)
    slopes = gaussian_filter1d(np.where(known, signal_mv, 0.0), sigma, axis=1, order=1)
    reach = round(4 * sigma)
    whole = np.array([np.convolve(row, np.ones(2 * reach + 1), mode="same") > 2 * reach + 0.5 for row in known])
    whole[:, :reach] |= known[:, :reach]
    whole[:, -reach:] |= known[:, -reach:]
    velocity: Float64[np.ndarray, " samples"] = np.sqrt((np.where(whole, slopes, 0.0) ** 2).sum(axis=0))
    return velocity


def _ends_at(velocity: Float64[np.ndarray, " samples"], fs_hz: float) -> int:
    """Return the last sample above the level at rest, going on from the steepest one, the first."""
    width = round(REST_S * fs_hz)
    calm = np.convolve(velocity, np.ones(width) / width, mode="same")
    rest = float(calm[round(REST_FROM_S * fs_hz) : round(REST_TO_S * fs_hz)].min(initial=velocity[0]))
    above = np.flatnonzero(velocity > rest + ABOVE_REST * (velocity[0] - rest))
    breaks = np.flatnonzero(np.diff(above) > PAUSE_S * fs_hz)
    return int(above[breaks[0]] if len(breaks) else above[-1])
