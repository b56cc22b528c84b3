"""Where the heart beats in a recording: QRS complexes by the steepness of all leads together.

After Pan and Tompkins 1985, "A real-time QRS detection algorithm", IEEE TBME 32(3):230: band-pass, derivative,
smoothing, a threshold, and no T wave taken for a beat. The leads stand in for one another, so that a page whose leads
follow each other in time is read like one that prints them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ecg_flare.ecg.stretches import unbroken

BAND_HZ: Final = (6.0, 30.0)
SMOOTHING_S: Final = 0.08
SHORTEST_RR_S: Final = 0.24
T_WAVE_WITHIN_S: Final = 0.55
T_WAVE_BELOW: Final = 0.5
"""A peak so soon after a beat, and lower than this share of it, is its T wave."""

LEAST_HEIGHT: Final = 0.3
"""Of a beat's steepness, over that of the steep ones."""

SCALE_PERCENTILE: Final = 98.0
SHORTEST_STRETCH_S: Final = 0.5
"""A shorter piece of a lead is not filtered: it would be all edge."""

EDGE_S: Final = 0.04
"""At both ends of a piece, where the filter answers to the end and not to the heart."""


@dataclass(frozen=True, eq=False)
class Heartbeats:
    """The heartbeats of a recording.

    Attributes:
        at: the samples at which QRS complexes are steepest.
        seen: whether a beat at a sample would be seen: some lead is known around it.
    """

    at: Int64[np.ndarray, " beats"]
    seen: Bool[np.ndarray, " n"]

    def rr_s(self, fs_hz: float) -> Float64[np.ndarray, " intervals"]:
        """Return the seconds from beat to beat; not of a pair between which a beat may be hidden."""
        pairs = zip(self.at[:-1], self.at[1:], strict=True)
        return np.array([(after - before) / fs_hz for before, after in pairs if self.seen[before:after].all()])


def find_beats(signal_mv: Float64[np.ndarray, "leads n"], fs_hz: float) -> Heartbeats:
    """Return the heartbeats of leads that are NaN where nothing was recorded."""
    from scipy.signal import find_peaks

    steep, seen = _steepness(signal_mv, fs_hz)
    peaks, _ = find_peaks(steep, distance=max(1, round(SHORTEST_RR_S * fs_hz)))
    tall = float(np.percentile(steep[peaks], 90)) if len(peaks) else 0.0
    kept: list[int] = []
    for peak in peaks[steep[peaks] > LEAST_HEIGHT * tall]:
        soon = bool(kept) and peak - kept[-1] < T_WAVE_WITHIN_S * fs_hz
        if not (soon and steep[peak] < T_WAVE_BELOW * steep[kept[-1]]):
            kept.append(int(peak))
    return Heartbeats(np.array(kept, dtype=np.int64), seen)


def _steepness(
    signal_mv: Float64[np.ndarray, "leads n"], fs_hz: float
) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return how steep the leads are, each as a share of its own steepest samples, and where any lead tells."""
    squares = np.zeros(signal_mv.shape[1])
    leads = np.zeros(signal_mv.shape[1])
    edge = max(1, round(EDGE_S * fs_hz))
    for lead in signal_mv:
        for first, last in unbroken(np.isfinite(lead)):
            if last - first < SHORTEST_STRETCH_S * fs_hz:
                continue
            slope = np.gradient(_band_passed(lead[first:last], fs_hz))
            scale = float(np.percentile(np.abs(slope), SCALE_PERCENTILE))
            if scale > 0:
                inside = slice(first + edge, last - edge)
                squares[inside] += (slope[edge:-edge] / scale) ** 2
                leads[inside] += 1
    together = np.sqrt(squares / np.maximum(leads, 1))
    kernel = np.hanning(max(3, round(2 * SMOOTHING_S * fs_hz)))
    return np.convolve(together, kernel / kernel.sum(), mode="same"), leads > 0


def _band_passed(lead: Float64[np.ndarray, " n"], fs_hz: float) -> Float64[np.ndarray, " n"]:
    from scipy.signal import butter, sosfiltfilt

    filtered: Float64[np.ndarray, " n"] = sosfiltfilt(butter(2, BAND_HZ, "bandpass", fs=fs_hz, output="sos"), lead)
    return filtered
