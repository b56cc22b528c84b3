"""Where the P wave begins and the T wave ends, in all leads together.

On the first principal component of the leads in the wave's stretch, by the area of a trapezium between the wave's
steepest place and a place at rest, which is largest where the wave ends (Vazquez-Seisdedos et al. 2011, "New approach
for T-wave end detection on electrocardiogram: performance in noisy conditions", BioMedical Engineering OnLine 10:77);
for P the same, mirrored in time. It has no threshold. The tangent at the steepest place (Lepeschkin and Surawicz 1952,
"The measurement of the Q-T interval of the electrocardiogram", Circulation 6:378) is a second witness of T's end.

A wave that single beats do not repeat is none: in atrial fibrillation the median of beats has ripples, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.ecg.intervals.median_beat import MedianBeat
from ecg_flare.ecg.intervals.qrs import Complex

P_WITHIN_S: Final = (0.03, 0.30)
"""A P wave's middle is so far before the QRS complex."""

P_SIGMA_S: Final = 0.048
P_AFTER_TIP_S: Final = 0.10
P_BEFORE_S, P_AFTER_S = 0.11, 0.08
P_TIP_WITHIN_S: Final = 0.03
P_RISE_S, P_REST_S = 0.07, 0.08
P_SMOOTHING_S: Final = 0.008

T_AFTER_S: Final = 0.04
T_TIP_WITHIN: Final = 0.5
"""Seconds from the QRS onset, at one beat a second; they change as Bazett's QT does."""

T_SIGMA_S: Final = 0.048
T_SMOOTHING_S: Final = 0.010
T_FALL_S, T_REST_S = 0.16, 0.16
T_SHORTEST_S: Final = 0.10
LEVEL_S: Final = 0.02
NO_P_S: Final = 0.18
"""Before the next QRS complex, where no P wave was found: the T wave is not looked for so late."""

TANGENT_BEFORE_S: Final = (-0.005, 0.06)
"""The tangent meets the level at rest so long before the trapezium's place; else the two witnesses disagree."""

LEAST_REPEATED: Final = 0.7
LEAST_BEATS: Final = 2


@dataclass(frozen=True)
class Edge:
    """A sample of a median beat at which a wave begins or ends; None where that cannot be told, and why."""

    sample: int | None
    why_not: str = ""


def t_tip(beat: MedianBeat, qrs: Complex, rr_s: float, fs_hz: float) -> int | None:
    """Return where the T wave is highest or deepest; None where the next beat follows too closely to tell."""
    begin = qrs.end + round(T_AFTER_S * fs_hz)
    end = min(beat.signal_mv.shape[1], qrs.onset + round(T_TIP_WITHIN * rr_s**0.5 * fs_hz))
    if end - begin < T_SHORTEST_S * fs_hz:
        return None
    bent = _bent(_known(beat.signal_mv)[:, begin:], T_SIGMA_S * fs_hz)
    return begin + int(bent[: end - begin].argmax())


def p_onset(beat: MedianBeat, qrs: Complex, tip: int | None, rr_s: float, fs_hz: float) -> Edge:
    """Return where the P wave begins; `tip` is the T wave's, and the P wave comes after that of the beat before."""
    signal = _known(beat.signal_mv)
    first, last = (max(0, qrs.onset - round(within * fs_hz)) for within in (P_WITHIN_S[1], P_WITHIN_S[0]))
    before = 0 if tip is None else tip + round((P_AFTER_TIP_S - rr_s) * fs_hz)
    first = max(first, before, round(P_SIGMA_S * fs_hz))
    if last - first < P_SIGMA_S * fs_hz:
        return Edge(None, "the beats follow each other too closely to tell a P wave")
    middle = first + int(_bent(signal[:, : qrs.onset], P_SIGMA_S * fs_hz)[first:last].argmax())
    begin, end = max(0, middle - round(P_BEFORE_S * fs_hz)), min(qrs.onset, middle + round(P_AFTER_S * fs_hz))
    level = signal[:, max(0, qrs.onset - round(LEVEL_S * fs_hz)) : qrs.onset].mean(axis=1, keepdims=True)
    wave = _component(_smooth(signal[:, begin:end] - level, P_SMOOTHING_S * fs_hz))
    wave *= np.sign(wave[middle - begin] - (wave[0] + wave[-1]) / 2) or 1.0
    reach = round(P_TIP_WITHIN_S * fs_hz)
    around = max(0, middle - begin - reach)
    top = around + int(wave[around : middle - begin + reach].argmax())
    foot = _foot(wave[top::-1], round(P_RISE_S * fs_hz), round(P_REST_S * fs_hz))
    if foot is None or begin + top - foot <= 1:
        return Edge(None, "the P wave begins before what a beat shows")
    if repeated(beat, max(0, begin + top - foot), min(end, begin + top + foot), fs_hz) < LEAST_REPEATED:
        return Edge(None, "no P wave that the beats repeat")
    return Edge(begin + top - foot)


def t_end(beat: MedianBeat, tip: int | None, p: Edge, rr_s: float, fs_hz: float) -> Edge:
    """Return where the T wave ends: before the next beat's P wave, or its QRS complex where that has none."""
    ahead = beat.origin - p.sample if p.sample is not None else round(NO_P_S * fs_hz)
    signal = _known(beat.signal_mv)
    end = min(signal.shape[1], beat.origin + round(rr_s * fs_hz) - ahead - round(LEVEL_S * fs_hz))
    if tip is None or end - tip < T_SHORTEST_S / 2 * fs_hz:
        return Edge(None, "the beats follow each other too closely to tell the T wave's end")
    begin = tip - round(T_SHORTEST_S / 2 * fs_hz)
    smooth = _smooth(signal, T_SMOOTHING_S * fs_hz)[:, begin:end]
    wave = _component(smooth - smooth[:, -round(LEVEL_S * fs_hz) :].mean(axis=1, keepdims=True))[tip - begin :]
    wave *= np.sign(wave[0]) or 1.0
    fall, rest = round(T_FALL_S * fs_hz), round(T_REST_S * fs_hz)
    foot = _foot(wave, fall, rest)
    if foot is None:
        return Edge(None, "no T wave that ends before the next beat")
    early = foot - _tangent(wave, fall, rest)
    if not TANGENT_BEFORE_S[0] * fs_hz <= early <= TANGENT_BEFORE_S[1] * fs_hz:
        return Edge(None, "the T wave's end is not clear: two ways to find it disagree")
    if repeated(beat, begin, tip + foot, fs_hz) < LEAST_REPEATED:
        return Edge(None, "no T wave that the beats repeat")
    return Edge(tip + foot)


def repeated(beat: MedianBeat, first: int, last: int, fs_hz: float) -> float:
    """Return how much of a stretch each beat has of what the others have there: 1 for all of it, 0 for chance.

    Least squares of each beat on the mean of the others, without their straight lines, over all leads; 0 where no lead
    shows two beats.
    """
    margin = round(LEVEL_S * fs_hz)
    stretch = beat.beats_mv[:, :, max(0, first - margin) : last + margin]
    line = np.linspace(-1.0, 1.0, stretch.shape[2])
    together = energy = 0.0
    for lead in stretch.transpose(1, 0, 2):
        shown = lead[np.isfinite(lead).all(axis=1)]
        if len(shown) < LEAST_BEATS:
            continue
        level = shown - shown.mean(axis=1, keepdims=True)
        level = level - np.outer(level @ line / (line @ line), line)
        others = (level.sum(axis=0) - level) / (len(level) - 1)
        together += float((level * others).sum())
        energy += float((others**2).sum())
    return together / energy if energy > 0 else 0.0


def _known(signal_mv: Float64[np.ndarray, "leads samples"]) -> Float64[np.ndarray, "leads samples"]:
    """Return the leads with their ends held where no beat shows them."""
    samples = np.arange(signal_mv.shape[1])
    known = np.isfinite(signal_mv)
    return np.stack([np.interp(samples, samples[at], row[at]) for row, at in zip(signal_mv, known, strict=True)])


def _smooth(signal: Float64[np.ndarray, "leads samples"], sigma: float) -> Float64[np.ndarray, "leads samples"]:
    from scipy.ndimage import gaussian_filter1d

    smooth: Float64[np.ndarray, "leads samples"] = gaussian_filter1d(signal, sigma, axis=1, mode="nearest")
    return smooth


def _bent(signal: Float64[np.ndarray, "leads samples"], sigma: float) -> Float64[np.ndarray, " samples"]:
    """Return how much all leads together bend like a wave of that width at each sample."""
    from scipy.ndimage import gaussian_filter1d

    bent: Float64[np.ndarray, " samples"] = np.linalg.norm(
        gaussian_filter1d(signal, sigma, axis=1, order=2, mode="nearest"), axis=0
    )
    return bent


def _component(signal: Float64[np.ndarray, "leads samples"]) -> Float64[np.ndarray, " samples"]:
    """Return the first principal component of the leads, about zero as they are."""
    _, sizes, shapes = np.linalg.svd(signal, full_matrices=False)
    first: Float64[np.ndarray, " samples"] = sizes[0] * shapes[0]
    return first


def _foot(falling: Float64[np.ndarray, " samples"], fall: int, rest: int) -> int | None:
    """Return where a wave that falls from its tip, the first sample, has ended; None where it does not fall.

    The trapezium stands between the steepest place (m), the place looked for (i) and one at rest (r): its area is
    (s_m - s_i) (2 r - i - m) / 2.
    """
    if len(falling) < 3:
        return None
    steepest = int(np.gradient(falling)[:fall].argmin())
    last = min(len(falling) - 1, steepest + rest)
    if falling[last] >= falling[steepest]:
        return None
    places = np.arange(steepest, last + 1)
    area = (falling[steepest] - falling[places]) * (2 * last - places - steepest) / 2
    return steepest + int(area.argmax())


def _tangent(falling: Float64[np.ndarray, " samples"], fall: int, rest: int) -> float:
    """Return where the tangent at the steepest place meets the level at rest."""
    slopes = np.gradient(falling)
    steepest = int(slopes[:fall].argmin())
    last = min(len(falling) - 1, steepest + rest)
    return steepest + float((falling[last] - falling[steepest]) / min(slopes[steepest], -1e-9))
