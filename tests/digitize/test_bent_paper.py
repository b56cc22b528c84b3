"""The error of a line whose ends stand aside, against a line that is stretched or tilted."""

import numpy as np
import pytest

from ecg_flare.digitize.leads.bent_paper import REACH_MM, bend_energy
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording

FS_HZ = 500.0
TIME_S = np.arange(2500) / FS_HZ
MIDDLE_S = TIME_S.mean()
SPEED = 12.0  # mm/s: half of the 5 s are 30 mm


def recording(first_mv: np.ndarray) -> Recording:
    signal = np.full((len(LEADS), len(TIME_S)), np.nan, np.float32)
    signal[0] = first_mv
    return Recording(signal, FS_HZ)


def energy(error_mv: np.ndarray) -> float:
    return float((error_mv**2).sum()) / FS_HZ


def test_a_steep_line_errs_as_if_it_were_stretched() -> None:
    stretched_s = MIDDLE_S + (TIME_S - MIDDLE_S) * 1.0005
    error = np.sin(2 * np.pi * 5.0 * stretched_s) - np.sin(2 * np.pi * 5.0 * TIME_S)
    found = bend_energy(recording(np.sin(2 * np.pi * 5.0 * TIME_S)), 0.0005, SPEED, lambda _: 1e9)
    assert found == pytest.approx(energy(error), rel=0.03)


def test_a_flat_line_errs_as_if_it_were_tilted() -> None:
    error = 0.01 * (TIME_S - MIDDLE_S) * SPEED / 10.0
    assert bend_energy(recording(np.zeros(2500)), 0.01, SPEED, lambda _: 10.0) == pytest.approx(energy(error), rel=1e-3)


def test_plane_paper_and_an_empty_recording_err_by_nothing() -> None:
    assert bend_energy(recording(np.sin(TIME_S)), 0.0, 25.0, lambda _: 10.0) == 0.0
    assert bend_energy(recording(np.full(2500, np.nan)), 0.01, 25.0, lambda _: 10.0) == 0.0


def test_beyond_half_a_column_the_error_grows_no_further() -> None:
    flat = recording(np.zeros(2500))
    far = np.clip((TIME_S - MIDDLE_S) * 50.0, -REACH_MM, REACH_MM) * 0.01 / 10.0
    assert bend_energy(flat, 0.01, 50.0, lambda _: 10.0) == pytest.approx(energy(far), rel=1e-3)
