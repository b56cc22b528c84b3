"""Rows that were not read: a calibration pulse stands at the start or the end of a row, and no line was found there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.beside import row_distance_px
from ecg_flare.digitize.measure.pulse import Pulse

FAR: Final = 0.5
"""Of the usual distance of rows, from a pulse's foot to the next row's resting level."""


def unread_rows(pulses: Sequence[Pulse], levels_px: Sequence[float], px_per_mm_y: float) -> tuple[float, ...]:
    """Return the y, in pixels, of pulses that stand at no row: one for each row that may be missing.

    `pulses` and the rows' resting levels are in the pixels of one picture.
    """
    levels = np.array(levels_px)
    far = FAR * row_distance_px(levels, px_per_mm_y)
    found: list[float] = []
    for foot in sorted(pulse.foot_px for pulse in pulses):
        if float(np.abs(levels - foot).min()) > far and (not found or foot - found[-1] > far):
            found.append(foot)
    return tuple(found)
