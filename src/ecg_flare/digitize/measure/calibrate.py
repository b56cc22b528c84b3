"""What a pixel is worth: pixels a millimetre along x and y, millimetres a second, millimetres a millivolt.

Nothing is assumed in silence. The scale is measured on the grid, or else on the calibration pulses, or else given;
speed and gain are measured on the pulses, or given, or assumed with a warning and less confidence.
"""

from __future__ import annotations

from typing import Literal

from ecg_flare.digitize.confidence import calibration_confidence
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.measure.given import given_measures
from ecg_flare.digitize.measure.printed import (
    completed,
    printed_chest_gain,
    weigh_printed_gain,
    weigh_printed_speed,
)
from ecg_flare.digitize.measure.scale_reading import read_scale, resolution_notes
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.measure.speed_and_gain import read_chest_gain, read_gain, read_speed
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.digitize.words.statements import NOTHING_PRINTED, PrintedMeasures


def calibrate(
    scaled: ScaledPage,
    *,
    speed: float | Literal["auto"] = "auto",
    gain: float | Literal["auto"] = "auto",
    chest_gain: float | Literal["auto"] = "auto",
    px_per_mm: PxPerMm | float | tuple[float, float] | None = None,
    printed: PrintedMeasures = NOTHING_PRINTED,
) -> Calibration:
    """Measure a page's scale, paper speed and gain.

    Args:
        scaled: an upright page with its scale.
        speed: mm/s, or "auto" to read it off the pulses.
        gain: mm/mV, or "auto" to read it off the pulses.
        chest_gain: mm/mV of V1 to V6 where it is another, or "auto" to read it off stepped pulses.
        px_per_mm: scale where it is known, one number or (x, y); otherwise it is measured.
        printed: what the page prints of its speed and gain.

    Raises:
        PageError: there is neither a grid nor a pulse to measure by, and no scale was given.
        ConfigError: a given number is out of its range.
    """
    given = given_measures(speed, gain, px_per_mm, chest_gain)
    scale = read_scale(scaled, completed(given, printed))
    of_gain = weigh_printed_gain(read_gain(scale, given.gain_mm_per_mv), printed)
    of_speed = weigh_printed_speed(read_speed(scale, given.speed_mm_per_s), printed)
    chest = read_chest_gain(scale, given.chest_gain_mm_per_mv, of_gain.value)
    return Calibration(
        px_per_mm=scale.px_per_mm,
        method=scale.method,
        confidence=calibration_confidence(scale.confidence, of_gain.confidence, of_speed.confidence),
        speed_mm_per_s=of_speed.value,
        speed_source=of_speed.source,
        gain_mm_per_mv=of_gain.value,
        gain_source=of_gain.source,
        warnings=(
            *scale.warnings,
            *resolution_notes(scale.px_per_mm.scaled(1 / scaled.page.enlarged, 1 / scaled.page.enlarged)),
            *of_speed.warnings,
            *of_gain.warnings,
            *printed.contradictions,
        ),
        other_speed_mm_per_s=of_speed.other,
        chest=printed_chest_gain(chest, printed, of_gain.value),
        printed=printed,
        enlarged=scaled.page.enlarged,
    )
