"""How fast the paper ran, by the heart: beats too rare and too wide at 25 mm/s were printed at 50 mm/s.

At half the true speed every interval seems twice as long. What a heart does at rest is known (Rijnbeek et al. 2014,
"Normal values of the electrocardiogram for ages 16-90 years", J. Electrocardiology 47:914: rates around 70 a minute,
QRS around 95 ms), but spread so widely that this is evidence for a speed, and never a measure of it: a pulse of 0.1 s
that is taken for one of 0.2 s is doubted by it, and a page without pulses is not read at an impossible speed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.beats import activity
from ecg_flare.digitize.measure.calibrate import ASSUMED_CONFIDENCE, Calibration, assumed_speed_note

SMOOTHING_MM: Final = 1.0
MIN_BEAT_MM: Final = 5.0
MIN_HEIGHT: Final = 0.4  # of a beat's activity, over that of the steepest ones
WIDTH_AT: Final = 0.3  # of a beat's height
MIN_BEATS: Final = 3
USUAL_BEAT_S, USUAL_WIDTH_S = 0.80, 0.060  # of the activity, which is narrower than the QRS complex
SPREAD: Final = 0.3  # of either's logarithm: bundle branch blocks and slow hearts are common
OTHER_SPEED: Final = {25.0: 50.0, 50.0: 25.0}
DOUBT_LOG_ODDS: Final = 2.0  # against a speed that was measured: one in a hundred of PTB-XL's hearts
OVERRULE_LOG_ODDS: Final = 2.5  # against a speed that was assumed: 25 mm/s is ten times as common
SUPPORT_LOG_ODDS: Final = 3.0
DOUBTED, SUPPORTED = 0.6, 1.15


@dataclass(frozen=True)
class Tempo:
    """The median distance from beat to beat, and a beat's width, in millimetres of paper."""

    beat_mm: float
    width_mm: float


def measure_heart_rate(y_mm: Float64[np.ndarray, "rows n"], step_mm: float) -> Tempo | None:
    """Measure the beats of all rows together on their raster; None where there are fewer than MIN_BEATS."""
    from scipy.signal import find_peaks

    steep = activity(list(y_mm), round(SMOOTHING_MM / step_mm))
    highest = float(np.percentile(steep, 99))
    if highest <= 0:
        return None
    beats, _ = find_peaks(steep, height=MIN_HEIGHT * highest, distance=max(1, round(MIN_BEAT_MM / step_mm)))
    if len(beats) < MIN_BEATS:
        return None
    rest = float(np.median(steep))
    widths = [_width(steep, int(beat), rest) for beat in beats]
    return Tempo(float(np.median(np.diff(beats))) * step_mm, float(np.median(widths)) * step_mm)


def _width(steep: Float64[np.ndarray, " n"], beat: int, rest: float) -> int:
    below = steep <= rest + WIDTH_AT * (steep[beat] - rest)
    before, after = np.flatnonzero(below[:beat]), np.flatnonzero(below[beat:])
    first = int(before[-1]) if len(before) else 0
    last = beat + int(after[0]) if len(after) else len(steep) - 1
    return last - first


def speed_log_odds(tempo: Tempo, speed_mm_per_s: float, other_mm_per_s: float) -> float:
    """Natural log-odds of a paper speed against another, by beats and widths of lognormal spread; priors left out."""

    def likelihood(speed: float) -> float:
        beat = np.log(tempo.beat_mm / speed / USUAL_BEAT_S) / SPREAD
        width = np.log(tempo.width_mm / speed / USUAL_WIDTH_S) / SPREAD
        return float(-0.5 * (beat**2 + width**2))

    return likelihood(speed_mm_per_s) - likelihood(other_mm_per_s)


def weigh_speed(calibration: Calibration, tempo: Tempo | None) -> Calibration:
    """Doubt a measured speed that the heart contradicts, and choose an assumed one by it.

    A speed that was given is left alone, and so is a scale from pulses alone, whose seconds need no speed.
    """
    other = OTHER_SPEED.get(calibration.speed_mm_per_s)
    if tempo is None or other is None or calibration.speed_source == "given" or calibration.method == "pulse":
        return calibration
    odds = speed_log_odds(tempo, calibration.speed_mm_per_s, other)
    if calibration.speed_source == "measured":
        if odds > -DOUBT_LOG_ODDS:
            return calibration
        return replace(
            calibration,
            confidence=round(calibration.confidence * DOUBTED, 3),
            warnings=(*calibration.warnings, _doubt(calibration.speed_mm_per_s, other, tempo)),
        )
    if odds > -OVERRULE_LOG_ODDS:
        share = min(SUPPORTED, 1 / ASSUMED_CONFIDENCE) if odds > SUPPORT_LOG_ODDS else 1.0
        return replace(calibration, confidence=round(calibration.confidence * share, 3))
    kept = (note for note in calibration.warnings if note != assumed_speed_note(calibration.speed_mm_per_s))
    reason = f"at {calibration.speed_mm_per_s:g} mm/s the heart would beat {_rate(tempo, calibration.speed_mm_per_s)}"
    return replace(
        calibration, speed_mm_per_s=other, warnings=(*kept, f"{assumed_speed_note(other)}; {reason} times a minute")
    )


def _doubt(speed: float, other: float, tempo: Tempo) -> str:
    return (
        f"the pulses say {speed:g} mm/s, at which the heart would beat {_rate(tempo, speed)} times a minute; "
        f"at {other:g} mm/s, {_rate(tempo, other)} times with usual QRS complexes: check the speed"
    )


def _rate(tempo: Tempo, speed: float) -> str:
    return f"{60 * speed / tempo.beat_mm:.0f}"
