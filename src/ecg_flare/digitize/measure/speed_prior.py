"""The heart-rate prior of the paper speed: beats too rare and too wide at 25 mm/s were printed at 50 mm/s.

At half the true speed every interval seems twice as long. What a heart does at rest is known (Rijnbeek et al. 2014,
"Normal values of the electrocardiogram for ages 16-90 years", J. Electrocardiology 47:914: rates around 70 a minute,
QRS around 95 ms), but spread so widely that this is evidence for a speed, and never a measure of it: a pulse of 0.1 s
that is taken for one of 0.2 s is doubted by it, and a page without pulses is not read at an impossible speed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from ecg_flare.digitize.confidence import ASSUMED, DOUBTED_BY_HEART, SUPPORTED_BY_HEART
from ecg_flare.digitize.measure.calibration import BY_PULSES, Calibration, assumed_speed_note
from ecg_flare.digitize.measure.heart_rate import TypicalBeat

USUAL_BEAT_S, USUAL_WIDTH_S = 0.80, 0.060  # of the activity, which is narrower than the QRS complex
SPREAD: Final = 0.3  # of either's logarithm: bundle branch blocks and slow hearts are common
OTHER_SPEED: Final = {25.0: 50.0, 50.0: 25.0}
DOUBT_LOG_ODDS: Final = 2.0  # against a speed that was measured: one in a hundred of PTB-XL's hearts
OVERRULE_LOG_ODDS: Final = 2.5  # against a speed that was assumed: 25 mm/s is ten times as common
SUPPORT_LOG_ODDS: Final = 3.0


def weigh_speed(calibration: Calibration, typical: TypicalBeat | None) -> Calibration:
    """Doubt a measured speed that the heart contradicts, and choose an assumed one by it.

    A speed that was given or printed is left alone, and so is a scale from pulses alone, whose seconds need no speed.
    An assumed one is not supported where the page prints its gain: its speed stands beside it, and was not read.
    """
    ruled_out = calibration.other_speed_mm_per_s
    other = OTHER_SPEED.get(calibration.speed_mm_per_s) if ruled_out is None else ruled_out
    if (
        typical is None
        or other is None
        or calibration.speed_source in ("given", "printed")
        or calibration.method in BY_PULSES
    ):
        return calibration
    odds = speed_log_odds(typical, calibration.speed_mm_per_s, other)
    if calibration.speed_source == "measured":
        if ruled_out is not None and odds > SUPPORT_LOG_ODDS:
            return replace(calibration, confidence=round(calibration.confidence * SUPPORTED_BY_HEART, 3))
        if odds > -DOUBT_LOG_ODDS:
            return calibration
        return replace(
            calibration,
            confidence=round(calibration.confidence * DOUBTED_BY_HEART, 3),
            warnings=(*calibration.warnings, _doubt(calibration.speed_mm_per_s, other, typical)),
        )
    if odds > -OVERRULE_LOG_ODDS:
        supported = odds > SUPPORT_LOG_ODDS and not calibration.printed.statements
        share = min(SUPPORTED_BY_HEART, 1 / ASSUMED) if supported else 1.0
        return replace(calibration, confidence=round(calibration.confidence * share, 3))
    kept = (note for note in calibration.warnings if note != assumed_speed_note(calibration.speed_mm_per_s))
    reason = f"at {calibration.speed_mm_per_s:g} mm/s the heart would beat {_rate(typical, calibration.speed_mm_per_s)}"
    return replace(
        calibration, speed_mm_per_s=other, warnings=(*kept, f"{assumed_speed_note(other)}; {reason} times a minute")
    )


def speed_log_odds(typical: TypicalBeat, speed_mm_per_s: float, other_mm_per_s: float) -> float:
    """Natural log-odds of a paper speed against another, by beats and widths of lognormal spread; priors left out."""

    def likelihood(speed: float) -> float:
        beat = np.log(typical.interval_mm / speed / USUAL_BEAT_S) / SPREAD
        width = np.log(typical.width_mm / speed / USUAL_WIDTH_S) / SPREAD
        return float(-0.5 * (beat**2 + width**2))

    return likelihood(speed_mm_per_s) - likelihood(other_mm_per_s)


def _doubt(speed: float, other: float, typical: TypicalBeat) -> str:
    return (
        f"the pulses say {speed:g} mm/s, at which the heart would beat {_rate(typical, speed)} times a minute; "
        f"at {other:g} mm/s, {_rate(typical, other)} times with usual QRS complexes: check the speed"
    )


def _rate(typical: TypicalBeat, speed: float) -> str:
    return f"{60 * speed / typical.interval_mm:.0f}"
