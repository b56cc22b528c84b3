"""What is left of a curve in the paper: ink that stands a little aside of where a plane page has it."""

from __future__ import annotations

import numpy as np

from ecg_flare.ecg.record import Recording


def bend_energy(recording: Recording, shift_s: float, shift_mv: float) -> float:
    """Return the energy of the error, in mV^2 times seconds, of a line that is moved so far in time and in height.

    To first order a shift in time errs by the line's slope: steep QRS complexes pay for it most.
    """
    energy = 0.0
    for lead in recording.signal_mv.astype(np.float64):
        slope = np.diff(lead) * recording.fs_hz
        errors = (slope * shift_s) ** 2 + shift_mv**2
        energy += float(np.nansum(errors)) / recording.fs_hz
    return energy
