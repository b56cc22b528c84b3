"""Pixels a millimetre of a page: given, or by its grid, or by its calibration pulses alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.digitize.confidence import (
    ODD_PULSES,
    PULSES_ALONE,
    PULSES_THAT_AGREE,
    UNSURE_MARGIN,
    grid_confidence,
)
from ecg_flare.digitize.measure.calibration import USUAL_GAIN_MM_PER_MV, USUAL_SPEED_MM_PER_S, Method
from ecg_flare.digitize.measure.given import GivenMeasures
from ecg_flare.digitize.measure.pulse import PULSE_S, Pulse
from ecg_flare.digitize.measure.pulses import find_pulses
from ecg_flare.digitize.measure.scale import GridScale
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import PageError

FEW_PX_PER_MM: Final = 3.5
"""Below this (89 dpi) small waves and narrow peaks are a pixel or two."""


@dataclass(frozen=True)
class ScaleReading:
    """Pixels a millimetre: by what method, how surely, and the pulses that were seen at that scale."""

    px_per_mm: PxPerMm
    method: Method
    confidence: float
    pulses: tuple[Pulse, ...]
    warnings: tuple[str, ...]


def read_scale(scaled: ScaledPage, given: GivenMeasures) -> ScaleReading:
    """Return the scale that is given, or else the grid's, or else that of pulses taken as 1 mV high and 0.2 s wide.

    Raises PageError for a page that has neither a grid nor a pulse to measure by, where no scale is given.
    """
    if given.px_per_mm is not None:
        unit = given.px_per_mm.scaled(scaled.page.enlarged, scaled.page.enlarged)
        return ScaleReading(unit, "given", 1.0, find_pulses(scaled.page.image, unit.y), ())
    if scaled.scale.grid is not None:
        return _by_grid(scaled.scale.grid, scaled.scale.pulses)
    if scaled.scale.pulses:
        return _by_pulses(scaled.scale.pulses, given)
    raise PageError(
        "no millimetre grid and no calibration pulse was found, so lengths on this page have no measure; "
        "if its scale is known, give it with --px-per-mm (a 200 dpi scan has 7.87)"
    )


def _by_grid(grid: GridScale, pulses: tuple[Pulse, ...]) -> ScaleReading:
    confidence = grid_confidence(grid.margin, grid.squares)
    if grid.margin >= UNSURE_MARGIN:
        return ScaleReading(grid.px_per_mm, "grid", confidence, pulses, ())
    doubt = f"the grid can be read in more than one way; taken for {grid.px_per_mm.y:.2f} pixels a millimetre"
    return ScaleReading(grid.px_per_mm, "grid", confidence, pulses, (doubt,))


def _by_pulses(pulses: tuple[Pulse, ...], given: GivenMeasures) -> ScaleReading:
    """Scale from the pulses alone: their height in mm is the gain, their width a fifth of the speed."""
    height = float(np.median([pulse.height_px for pulse in pulses]))
    width = float(np.median([pulse.width_px for pulse in pulses]))
    y = height / (given.gain_mm_per_mv or USUAL_GAIN_MM_PER_MV)
    x = width / (PULSE_S * (given.speed_mm_per_s or USUAL_SPEED_MM_PER_S))
    note = "no grid was found: the scale comes from the calibration pulses"
    if 0.85 < x / y < 1.18:
        known = given.gain_mm_per_mv is not None and given.speed_mm_per_s is not None
        confidence = PULSES_THAT_AGREE if known else PULSES_ALONE
        return ScaleReading(PxPerMm(x, y), "pulse", confidence, pulses, (f"{note}, taken as 1 mV high and 0.2 s wide",))
    # A pulse that is not 0.2 s wide measures millivolts still; paper is taken to have one scale both ways.
    doubt = f"{note}; their width is not 0.2 s, so times are unsure"
    return ScaleReading(PxPerMm(y, y), "pulse", ODD_PULSES, pulses, (doubt,))


def resolution_notes(px_per_mm: PxPerMm) -> tuple[str, ...]:
    if px_per_mm.coarser >= FEW_PX_PER_MM:
        return ()
    found = f"the page has {px_per_mm.coarser:.1f} pixels a millimetre"
    return (f"{found}: small waves and the tips of narrow peaks may be lost",)
