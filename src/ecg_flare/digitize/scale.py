"""The scale of a page from its grid and its calibration pulses together, before speed and gain are told apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from ecg_flare.digitize.lattice import grid_signal
from ecg_flare.digitize.normalize import NormalizedPage
from ecg_flare.digitize.pitch import Pitch, correlate, readings, refine
from ecg_flare.digitize.pulse import Pulse, find_pulses

STANDARD_GAINS_MM = (5.0, 10.0, 20.0)
"""Heights of a 1 mV pulse that machines print."""

_MOST_READINGS = 6
_SURE = 4.0  # log-odds by which the best reading of the grid leads when nothing else is needed
_PULSE_LOG_ODDS = 3.0
_TRACKED = 0.5  # a repetition followed over half the page is exact; on curved paper phases are better
_HEIGHT_TOLERANCE = 0.08
_LEAST_SQUARES = 0.18


@dataclass(frozen=True)
class GridScale:
    """The grid's reading.

    Attributes:
        px_per_mm_x, px_per_mm_y: pixels a millimetre.
        margin: log-odds by which this reading leads the next one of another scale.
        squares: how surely the grid repeats at 5 mm, 0 to 1, along the weaker axis.
        pulses: calibration pulses found at this scale.
    """

    px_per_mm_x: float
    px_per_mm_y: float
    margin: float
    squares: float
    pulses: tuple[Pulse, ...]


def grid_scale(page: NormalizedPage) -> GridScale | None:
    """Read the millimetre off the grid in x and y; None when there is no grid, or none that repeats."""
    if page.period_px is None:
        return None
    signal = grid_signal(page.image)
    turned = np.ascontiguousarray(signal.T)
    length = float(max(signal.shape))
    along = readings(correlate(signal, page.period_px[0]), length)[:_MOST_READINGS]
    down = readings(correlate(turned, page.period_px[1]), length)[:_MOST_READINGS]
    pairs = sorted(
        ((_together(x, y), x, y) for x in along for y in down if _together(x, y) > -np.inf), key=lambda pair: -pair[0]
    )
    if not pairs:
        return None
    score, x, y = pairs[0]
    rival = next((pair for pair in pairs if abs(np.log(pair[2].px_per_mm / y.px_per_mm)) > 0.1), None)
    margin = score - rival[0] if rival else 2 * _SURE
    pulses = find_pulses(page.image, y.px_per_mm)
    if rival is not None and margin < 2 * _SURE:
        # The pulses' height tells a square from a line: 10 mm are two squares or ten lines.
        other = find_pulses(page.image, rival[2].px_per_mm)
        change = _PULSE_LOG_ODDS * (is_standard(pulses, y.px_per_mm) - is_standard(other, rival[2].px_per_mm))
        margin += change
        if margin < 0.0:
            margin, x, y, pulses = -margin, rival[1], rival[2], other
    squares = min(x.squares, y.squares)
    if squares < _LEAST_SQUARES:
        return None
    return GridScale(_exact(signal, x), _exact(turned, y), margin, squares, pulses)


def is_standard(pulses: tuple[Pulse, ...], px_per_mm: float) -> bool:
    """Whether pulses have a height that machines print at this scale."""
    return len(pulses) >= 2 and standard_gain(pulses, px_per_mm) is not None


def standard_gain(pulses: tuple[Pulse, ...], px_per_mm: float) -> float | None:
    """Gain in mm/mV that the pulses' height stands for; None when it is none of the usual."""
    if not pulses:
        return None
    height = float(np.median([pulse.height_px for pulse in pulses])) / px_per_mm
    nearest = min(STANDARD_GAINS_MM, key=lambda gain: abs(np.log(height / gain)))
    return nearest if abs(height / nearest - 1.0) <= _HEIGHT_TOLERANCE else None


def _together(x: Pitch, y: Pitch) -> float:
    """Log-odds of two readings as those of one grid: scanners and cameras stretch, but not by a fifth."""
    stretch = float(np.log(x.px_per_mm / y.px_per_mm))
    return -np.inf if abs(stretch) > 0.22 else x.score + y.score - 0.5 * (stretch / 0.1) ** 2


def _exact(signal: Float32[np.ndarray, "h w"], pitch: Pitch) -> float:
    return pitch.px_per_mm if pitch.reach >= _TRACKED else refine(signal, pitch.px_per_mm)
