"""The paper's speed and gain: given, or read off the calibration pulses, or assumed with a warning and less confidence.

The standards that make a pulse a measure: it is 1 mV high, and by most machines 0.2 s wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.digitize.confidence import ASSUMED, GIVEN_AGAINST_HEIGHT, GIVEN_AGAINST_WIDTH, LONE_PULSE, SHORT_PULSES
from ecg_flare.digitize.measure.calibration import (
    USUAL_GAIN_MM_PER_MV,
    USUAL_SPEED_MM_PER_S,
    ChestGain,
    Source,
    assumed_speed_note,
)
from ecg_flare.digitize.measure.pulse import PULSE_S, SHORT_PULSE_S, standard_gain
from ecg_flare.digitize.measure.scale_reading import ScaleReading
from ecg_flare.digitize.measure.stepped import step_share

_SPEEDS_MM_PER_S: Final = (25.0, 50.0)
_WIDTH_TOLERANCE: Final = 0.07
MIN_STEPPED: Final = 2


@dataclass(frozen=True)
class PaperReading:
    """A speed in mm/s or a gain in mm/mV, and where it comes from; `other` is what the same pulses may stand for."""

    value: float
    source: Source
    confidence: float
    warnings: tuple[str, ...]
    other: float | None = None


def read_gain(scale: ScaleReading, known: float | None) -> PaperReading:
    measured = standard_gain(scale.pulses, scale.px_per_mm.y) if scale.method != "pulse" else None
    if known is not None:
        if measured is not None and measured != known:
            note = f"the gain was given as {known:g} mm/mV, but the pulses are {measured:g} mm high"
            return PaperReading(known, "given", GIVEN_AGAINST_HEIGHT, (note,))
        return PaperReading(known, "given", 1.0, ())
    if measured is not None:
        lone = len(scale.pulses) < 2
        notes = ("the gain was read from a single calibration pulse",) if lone else ()
        return PaperReading(measured, "measured", LONE_PULSE if lone else 1.0, notes)
    if scale.pulses and scale.method != "pulse":
        height = float(np.median([pulse.height_px for pulse in scale.pulses])) / scale.px_per_mm.y
        odd = f" (what looks like a pulse is {height:.1f} mm high, which is no usual gain)"
    else:
        odd = ""
    note = f"gain assumed to be {USUAL_GAIN_MM_PER_MV:g} mm/mV: no calibration pulse was read{odd}"
    if scale.method == "pulse":
        note = f"gain assumed to be {USUAL_GAIN_MM_PER_MV:g} mm/mV; millivolts come from the pulses and do not need it"
    return PaperReading(USUAL_GAIN_MM_PER_MV, "assumed", ASSUMED, (note,))


def read_chest_gain(scale: ScaleReading, known: float | None, gain_mm_per_mv: float) -> ChestGain | None:
    """Return the chest leads' gain that is given, or that most pulses go down to by a step; None without either.

    A step is told by its share of its pulse's height, since a scale that is off by some percent changes both alike.
    """
    if known is not None:
        return ChestGain(known, "given")
    shares = [step for step in map(step_share, scale.pulses) if step is not None]
    if not shares or len(shares) < min(MIN_STEPPED, len(scale.pulses)) or len(shares) < len(scale.pulses) / 2:
        return None
    return ChestGain(gain_mm_per_mv * float(np.median(shares)), "measured")


def read_speed(scale: ScaleReading, known: float | None) -> PaperReading:
    measured = _pulse_speed(scale) if scale.method != "pulse" else None
    if known is not None:
        if measured is not None and measured != known:
            note = f"the speed was given as {known:g} mm/s, but the pulses are {PULSE_S * measured:g} mm wide"
            return PaperReading(known, "given", GIVEN_AGAINST_WIDTH, (note,))
        return PaperReading(known, "given", 1.0, ())
    if measured is not None:
        return PaperReading(measured, "measured", 1.0, ())
    short = _pulse_speed(scale, SHORT_PULSE_S) if scale.method != "pulse" else None
    if short == USUAL_SPEED_MM_PER_S:
        other = short * SHORT_PULSE_S / PULSE_S
        note = f"the pulses are {SHORT_PULSE_S * short:g} mm wide: taken for 0.1 s at {short:g} mm/s"
        return PaperReading(short, "measured", SHORT_PULSES, (f"{note}, not for 0.2 s at {other:g} mm/s",), other)
    note = assumed_speed_note(USUAL_SPEED_MM_PER_S)
    return PaperReading(USUAL_SPEED_MM_PER_S, "assumed", ASSUMED, (note,))


def _pulse_speed(scale: ScaleReading, pulse_s: float = PULSE_S) -> float | None:
    """Speed at which the pulses are so many seconds wide; None when they are of another width at all usual speeds."""
    if len(scale.pulses) < 2 or standard_gain(scale.pulses, scale.px_per_mm.y) is None:
        return None
    width = float(np.median([pulse.width_px for pulse in scale.pulses])) / scale.px_per_mm.x
    for speed in _SPEEDS_MM_PER_S:
        if abs(width / (pulse_s * speed) - 1.0) <= _WIDTH_TOLERANCE:
            return speed
    return None
