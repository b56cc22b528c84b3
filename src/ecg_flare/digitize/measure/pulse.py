"""A calibration pulse: a rectangle, 1 mV high, that most machines print at the start or the end of a row.

It is two upright strokes of equal height joined by a flat bar at one end and open at the other. The bar is at the top:
a page whose pulses hang from their bar is upside down. Where limb and chest leads have different gains, the bar may go
down a step: its first part stands at the limb leads' gain, its second part at the chest leads'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

STANDARD_GAINS_MM: Final = (5.0, 10.0, 20.0)
"""Heights of a 1 mV pulse that machines print."""

PULSE_S: Final = 0.2
"""Width of a pulse by most machines."""

HEIGHT_SPREAD: Final = 0.06
"""By which share the heights of pulses of one gain differ."""

SHORT_PULSE_S: Final = 0.1
"""Width of a pulse by the others. At 50 mm/s it is as wide as one of PULSE_S at 25 mm/s."""

LEAST_WIDTH_MM: Final = 2.0
"""Of a pulse: 0.1 s at 25 mm/s are 2.5 mm. A QRS complex at 50 mm/s may have the shape of a narrower one."""

_HEIGHT_TOLERANCE: Final = 0.08


@dataclass(frozen=True)
class Pulse:
    """One calibration pulse.

    Attributes:
        left_px, right_px: the strokes' centres.
        bar_px: y of the bar's centre line.
        foot_px: y of the baseline's centre line; below the bar on an upright page.
        step_px: y of the second bar of a stepped pulse, None where there is one bar.
    """

    left_px: float
    right_px: float
    bar_px: float
    foot_px: float
    step_px: float | None = None

    @property
    def upright(self) -> bool:
        """Whether the pulse stands up from its baseline."""
        return self.foot_px > self.bar_px

    @property
    def height_px(self) -> float:
        """From the baseline's centre line to the bar's."""
        return abs(self.foot_px - self.bar_px)

    @property
    def step_height_px(self) -> float | None:
        """From the baseline's centre line to that of the second bar, where there is one."""
        return None if self.step_px is None else abs(self.foot_px - self.step_px)

    @property
    def width_px(self) -> float:
        """From one stroke's centre line to the other's."""
        return self.right_px - self.left_px

    def enlarged(self, factor: float) -> Pulse:
        """The same pulse on a picture that is `factor` times as large."""
        left, right, bar, foot = (
            factor * (edge + 0.5) - 0.5 for edge in (self.left_px, self.right_px, self.bar_px, self.foot_px)
        )
        step = None if self.step_px is None else factor * (self.step_px + 0.5) - 0.5
        return Pulse(left, right, bar, foot, step)

    def rotated_180(self, width: int, height: int) -> Pulse:
        """The same pulse on a picture turned by half a circle."""
        return Pulse(
            width - 1 - self.right_px,
            width - 1 - self.left_px,
            height - 1 - self.bar_px,
            height - 1 - self.foot_px,
            None if self.step_px is None else height - 1 - self.step_px,
        )


def standard_gain(pulses: Sequence[Pulse], px_per_mm: float) -> float | None:
    """The usual gain nearest to the pulses' commonest height; None when there are none, or of no usual height."""
    if not pulses:
        return None
    return usual_gain(commonest_height_px(pulses) / px_per_mm)


def believed(pulses: Sequence[Pulse], px_per_mm_x: float, px_per_mm_y: float) -> tuple[Pulse, ...]:
    """The pulses of a page whose scale is known, without one that stands alone and may be a QRS complex.

    One that hangs is one: of two the page would have been turned. So is one that is narrower than pulses are, or of no
    usual height.
    """
    if len(pulses) != 1:
        return tuple(pulses)
    [lone] = pulses
    wide = lone.width_px >= LEAST_WIDTH_MM * px_per_mm_x
    return (lone,) if lone.upright and wide and usual_gain(lone.height_px / px_per_mm_y) is not None else ()


def usual_gain(height_mm: float) -> float | None:
    """The gain that a pulse of this height stands for, in mm/mV; None when it is no usual one."""
    nearest = min(STANDARD_GAINS_MM, key=lambda gain: abs(np.log(height_mm / gain)))
    return nearest if abs(height_mm / nearest - 1.0) <= _HEIGHT_TOLERANCE else None


def commonest_height_px(pulses: Sequence[Pulse]) -> float:
    """The median height of the most pulses that are alike; of the higher ones where as many are of another height."""
    heights = np.array([pulse.height_px for pulse in pulses])
    alike = np.abs(heights[:, None] - heights) <= HEIGHT_SPREAD * heights[:, None]
    best = max(range(len(heights)), key=lambda index: (alike[index].sum(), heights[index]))
    return float(np.median(heights[alike[best]]))
