"""Leads moved in time by hand, and a hundred recordings that nobody moved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.digitize.leads.cut_tips import cut_tips
from ecg_flare.digitize.leads.limb_noise import limb_noise
from ecg_flare.digitize.leads.row_lags import RowLag, row_lags
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.ptbxl import load_record, read_database
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import synthesize

CLEAN = synthesize(np.random.default_rng(3))


def moved(lead: str, lag_s: float, recording: Recording = CLEAN) -> Recording:
    signal = recording.signal_mv.copy()
    row = LEADS.index(lead)
    signal[row] = np.roll(signal[row], round(lag_s * recording.fs_hz))
    return replace(recording, signal_mv=signal)


def test_a_lead_that_is_12_ms_late_is_named_with_its_lag() -> None:
    assert row_lags(moved("II", 0.012)) == (RowLag("II", ("I", "III", "aVR", "aVL", "aVF"), 0.012),)


def test_a_row_that_leans_is_named_in_each_column() -> None:
    """3x4: I, II and III, then aVR, aVL and aVF; the third row stands 16 ms early."""
    signal = moved("aVF", -0.016, moved("III", -0.016)).signal_mv.copy()
    signal[:3, 1250:] = np.nan
    signal[3:, :1250] = signal[3:, 2500:] = np.nan
    found = row_lags(replace(CLEAN, signal_mv=signal))
    assert found == (RowLag("III", ("I", "II"), -0.016), RowLag("aVF", ("aVR", "aVL"), -0.016))


def test_a_lag_of_less_than_a_column_and_noise_alone_are_not_told() -> None:
    assert row_lags(moved("II", 0.004)) == ()
    signal = CLEAN.signal_mv + np.random.default_rng(0).normal(0, 0.1, CLEAN.signal_mv.shape).astype(np.float32)
    assert row_lags(replace(CLEAN, signal_mv=signal)) == ()


@pytest.mark.realdata
def test_no_clean_recording_has_a_lag_a_flat_peak_or_a_contradiction(data_root: Path) -> None:
    for entry in read_database(data_root / "ptbxl")[:100]:
        recording = load_record(data_root / "ptbxl", entry)
        assert row_lags(recording) == (), entry
        assert cut_tips(recording) == (), entry
        assert not any(group.is_concentrated for group in limb_noise(recording)), entry
