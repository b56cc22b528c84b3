"""The scale of an upright page: the millimetre of its grid and its calibration pulses, read together.

Neither is trusted alone where the other can be seen: the pulses' height tells a grid of 1 mm lines from one of 5 mm
lines, and the grid tells how high the pulses are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ecg_flare.digitize.measure.correlation import correlate
from ecg_flare.digitize.measure.fine_pitch import refine_pitch
from ecg_flare.digitize.measure.pitch import Pitch, readings
from ecg_flare.digitize.measure.pulse import Pulse, believed, standard_gain
from ecg_flare.digitize.measure.pulses import find_pulses
from ecg_flare.digitize.rectify.lattice import grid_signal
from ecg_flare.digitize.units import PxPerMm

_LONGEST_PX: Final = 1800  # the grid of a larger page is measured on a copy this long
_MAX_READINGS: Final = 6
_SURE: Final = 8.0  # log-odds of the best reading over the next at which the pulses are not asked
_PULSE_LOG_ODDS: Final = 3.0
_TRACKED: Final = 0.5  # a repetition followed over half the page is exact; on curved paper phases are better
_MIN_SQUARES: Final = 0.06
_LENGTHS_MM: Final = (270.0, 180.0, 120.0)  # lengths of a page at which pulses are sought when there is no grid


@dataclass(frozen=True)
class GridScale:
    """The grid's reading.

    Attributes:
        px_per_mm: the unit of lengths on the page.
        margin: log-odds by which this reading leads the next one of another scale.
        squares: how surely the grid repeats at 5 mm, 0 to 1, along the weaker axis.
    """

    px_per_mm: PxPerMm
    margin: float
    squares: float


@dataclass(frozen=True)
class PageScale:
    """What there is on a page to measure by: a grid, or None, and calibration pulses, perhaps none."""

    grid: GridScale | None
    pulses: tuple[Pulse, ...]

    @property
    def standard_gain(self) -> float | None:
        """Gain in mm/mV that the pulses' height stands for; None without a grid, or when it is no usual one."""
        return None if self.grid is None else standard_gain(self.pulses, self.grid.px_per_mm.y)

    def rotated_180(self, shape: tuple[int, int]) -> PageScale:
        """The same scale on a page turned by half a circle; `shape` is (height, width) in pixels."""
        return replace(self, pulses=tuple(pulse.rotated_180(shape[1], shape[0]) for pulse in reversed(self.pulses)))


def measure_scale(image: UInt8[np.ndarray, "h w 3"], period_px: tuple[float, float] | None) -> PageScale:
    """Measure the grid and the pulses of a straight page.

    Args:
        image: the page; it may stand on its head.
        period_px: any period of its grid along x and y (lattice.py); None when no grid was found.
    """
    grid = None if period_px is None else _grid_scale(image, period_px)
    if grid is not None:
        return grid
    found = [find_pulses(image, max(image.shape[:2]) / length, crowded=False) for length in _LENGTHS_MM]
    best = max(found, key=len)
    return PageScale(None, best if len(best) >= 2 else ())


def _grid_scale(image: UInt8[np.ndarray, "h w 3"], period_px: tuple[float, float]) -> PageScale | None:
    shrink = min(1.0, _LONGEST_PX / max(image.shape[:2]), 0.5 * min(period_px))
    size = (round(image.shape[1] * shrink), round(image.shape[0] * shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if shrink < 1.0 else image
    signal = grid_signal(small)
    turned = np.ascontiguousarray(signal.T)
    length = float(max(signal.shape))
    along = readings(correlate(signal, period_px[0] * shrink), length)[:_MAX_READINGS]
    down = readings(correlate(turned, period_px[1] * shrink), length)[:_MAX_READINGS]
    joint = sorted(((_together(x, y), x, y) for x in along for y in down), key=lambda reading: -reading[0])
    if not joint or joint[0][0] == -np.inf:
        return None
    score, x, y = joint[0]
    stretch_x, stretch_y = image.shape[1] / size[0], image.shape[0] / size[1]
    pulses = find_pulses(image, y.px_per_mm * stretch_y)
    rival = next((each for each in joint if abs(np.log(each[2].px_per_mm / y.px_per_mm)) > 0.1), None)
    margin = 2 * _SURE if rival is None else score - rival[0]
    if rival is not None and margin < _SURE:
        # The pulses' height tells a square from a line: 10 mm are two squares or ten lines.
        others = find_pulses(image, rival[2].px_per_mm * stretch_y, crowded=False)
        margin += _pulse_log_odds(pulses, y.px_per_mm * stretch_y)
        margin -= _pulse_log_odds(others, rival[2].px_per_mm * stretch_y)
        if margin < 0.0:
            margin, x, y, pulses = -margin, rival[1], rival[2], others
    squares = min(x.squares, y.squares)
    if squares < _MIN_SQUARES:
        return None
    unit = PxPerMm(_exact(signal, x) * stretch_x, _exact(turned, y) * stretch_y)
    upright = not pulses or pulses[0].upright
    return PageScale(GridScale(unit, margin, squares), believed(pulses, unit.x, unit.y) if upright else pulses)


def _together(x: Pitch, y: Pitch) -> float:
    """Log-odds of two readings as those of one grid: scanners and cameras stretch, but not by a fifth."""
    stretch = float(np.log(x.px_per_mm / y.px_per_mm))
    return -np.inf if abs(stretch) > 0.22 else x.score + y.score - 0.5 * (stretch / 0.1) ** 2


def _pulse_log_odds(pulses: tuple[Pulse, ...], px_per_mm: float) -> float:
    return _PULSE_LOG_ODDS if len(pulses) >= 2 and standard_gain(pulses, px_per_mm) is not None else 0.0


def _exact(signal: Float32[np.ndarray, "h w"], pitch: Pitch) -> float:
    return pitch.px_per_mm if pitch.reach >= _TRACKED else refine_pitch(signal, pitch.px_per_mm)
