"""Speed and gains that the page prints, beside those that its pulses say or that are assumed.

Print decides where nothing else does. Where pulses say another number they are kept, and the reading is in doubt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecg_flare.digitize.confidence import AGAINST_PRINT, PRINTED
from ecg_flare.digitize.measure.calibration import Calibration, ChestGain
from ecg_flare.digitize.measure.given import GivenMeasures
from ecg_flare.digitize.measure.speed_and_gain import PaperReading
from ecg_flare.digitize.words.statements import PrintedMeasures

SAME: Final = 0.02
"""Numbers that differ by less are one."""


def may_be_settled(measured: Calibration, weighed: Calibration) -> bool:
    """Whether print could settle a speed or a gain: assumed ones, and those that the reading left in doubt.

    `weighed` is the calibration after the reading, which heart and amplitudes may speak against.
    """
    if measured.printed.statements:
        return False
    doubtful = weighed.confidence < measured.confidence or weighed.other_speed_mm_per_s is not None
    return doubtful or "assumed" in (weighed.speed_source, weighed.gain_source)


def completed(given: GivenMeasures, printed: PrintedMeasures) -> GivenMeasures:
    """Return what is known of a page beforehand, with what it prints where nothing is given."""
    return replace(
        given,
        speed_mm_per_s=given.speed_mm_per_s or printed.speed_mm_per_s,
        gain_mm_per_mv=given.gain_mm_per_mv or printed.gain_mm_per_mv,
    )


def weigh_printed_speed(reading: PaperReading, printed: PrintedMeasures) -> PaperReading:
    """Return a speed with what the page prints."""
    return _weighed(reading, printed.speed_mm_per_s, "speed", "mm/s")


def weigh_printed_gain(reading: PaperReading, printed: PrintedMeasures) -> PaperReading:
    """Return a gain with what the page prints; pulses of the chest leads' printed gain do not contradict the other."""
    gain, chest = printed.gain_mm_per_mv, printed.chest_gain_mm_per_mv
    if gain is not None and chest is not None and reading.source == "measured" and _same(reading.value, chest):
        return PaperReading(gain, "printed", PRINTED, ())
    return _weighed(reading, gain, "gain", "mm/mV")


def printed_chest_gain(read: ChestGain | None, printed: PrintedMeasures, gain_mm_per_mv: float) -> ChestGain | None:
    """Return the chest leads' gain: one that was read, or else one that is printed for them, or for all leads."""
    if read is not None:
        return read
    if printed.chest_gain_mm_per_mv is not None:
        return ChestGain(printed.chest_gain_mm_per_mv, "printed")
    for_all = printed.gain_of_all_mm_per_mv
    return ChestGain(for_all, "printed") if for_all is not None and _same(for_all, gain_mm_per_mv) else None


def _weighed(reading: PaperReading, printed: float | None, name: str, unit: str) -> PaperReading:
    if printed is None:
        return reading
    if reading.source == "assumed" or (reading.other is not None and _same(reading.other, printed)):
        return PaperReading(printed, "printed", PRINTED, ())
    if _same(reading.value, printed):
        return reading if reading.source == "given" else PaperReading(reading.value, reading.source, 1.0, ())
    note = f"the page prints a {name} of {printed:g} {unit}, but {reading.value:g} was {reading.source}: check it"
    return replace(reading, confidence=reading.confidence * AGAINST_PRINT, warnings=(*reading.warnings, note))


def _same(one: float, other: float) -> bool:
    return abs(one / other - 1.0) < SAME
