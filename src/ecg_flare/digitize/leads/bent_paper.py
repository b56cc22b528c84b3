"""What is left of a curve in the paper: ink that stands a little aside of where a plane page has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ecg_flare.ecg.record import Recording

REACH_MM: Final = 31.0
"""Half a column of 2.5 s: paper bends one way and back within a longer row."""


def bend_energy(recording: Recording, bend: float, speed_mm_per_s: float, gain_of: Callable[[str], float]) -> float:
    """Return the energy of the error, in mV^2 times seconds, of leads whose ends move aside by the bend.

    `bend` is by how much the paper moves, along x and y, a millimetre of its length; `gain_of` gives a lead's mm/mV.
    From the middle of a lead, whose place and height are free, the error grows for REACH_MM to both sides. To first
    order a shift in time errs by the line's slope: steep QRS complexes pay for it most.
    """
    energy = 0.0
    for name, lead in zip(recording.lead_names, recording.signal_mv.astype(np.float64), strict=True):
        known = np.flatnonzero(np.isfinite(lead))
        if len(known) < 2:
            continue
        from_middle_s = (np.arange(len(lead)) - (known[0] + known[-1]) / 2) / recording.fs_hz
        from_middle_s = np.clip(from_middle_s, -REACH_MM / speed_mm_per_s, REACH_MM / speed_mm_per_s)
        in_time = np.gradient(lead) * recording.fs_hz * bend * from_middle_s
        in_height = bend * from_middle_s * speed_mm_per_s / gain_of(name)
        energy += float(np.nansum(in_time**2 + np.where(np.isfinite(lead), in_height**2, 0.0))) / recording.fs_hz
    return energy
