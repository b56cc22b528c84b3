"""The error of a line that stands aside, against a line that is moved."""

import numpy as np
import pytest

from ecg_flare.digitize.leads.bent_paper import bend_energy
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording

FS_HZ = 500.0


def test_the_energy_is_that_of_the_moved_line() -> None:
    time_s = np.arange(2500) / FS_HZ
    signal = np.full((len(LEADS), 2500), np.nan, np.float32)
    signal[0] = np.sin(2 * np.pi * 5.0 * time_s)
    recording = Recording(signal, FS_HZ)
    moved = np.sin(2 * np.pi * 5.0 * (time_s - 0.002))
    error = float(((moved - signal[0]) ** 2).sum()) / FS_HZ
    assert bend_energy(recording, 0.002, 0.0) == pytest.approx(error, rel=0.02)
    assert bend_energy(recording, 0.0, 0.1) == pytest.approx(0.01 * 5.0, rel=0.01)
    assert bend_energy(recording, 0.0, 0.0) == 0.0
