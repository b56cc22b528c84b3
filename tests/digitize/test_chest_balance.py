"""Chest leads of half the gain, told by amplitudes alone: on real hearts, with its false alarms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.leads.chest_balance import (
    NATS,
    USUAL_LOG_MV,
    chest_ratio,
    log_amplitudes,
    split_log_odds,
    weigh_chest_gain,
)
from ecg_flare.digitize.measure.calibration import Calibration, ChestGain
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.leads import CHEST_LEADS, LEADS
from ecg_flare.ecg.ptbxl import load_record, read_database
from ecg_flare.ecg.record import Recording

FS_HZ = 500.0
CALIBRATION = Calibration(PxPerMm(8.0, 8.0), "grid", 0.99, 25.0, "measured", 10.0, "measured", ())


def recording_of(amplitudes_mv: np.ndarray) -> Recording:
    """Twelve leads of 5 s with a wave a second, each of its own range."""
    wave = 0.5 * np.sin(2 * np.pi * np.arange(2500) / FS_HZ)
    return Recording((amplitudes_mv[:, None] * wave).astype(np.float32), FS_HZ)


def halved(recording: Recording) -> Recording:
    signal = recording.arranged(LEADS).signal_mv.copy()
    signal[-len(CHEST_LEADS) :] *= 0.5
    return replace(recording.arranged(LEADS), signal_mv=signal)


def test_amplitudes_are_ranges_of_a_beat() -> None:
    amplitudes = np.linspace(0.2, 2.4, 12)
    found = log_amplitudes(recording_of(amplitudes))
    assert found is not None
    np.testing.assert_allclose(found, np.log(amplitudes), atol=1e-3)
    assert chest_ratio(found) == pytest.approx(float(np.exp(np.log(amplitudes[6:] / amplitudes[:6]).mean())), rel=1e-3)


def test_a_lead_that_was_not_printed_leaves_nothing_to_say() -> None:
    signal = recording_of(np.ones(12)).signal_mv.copy()
    signal[3] = np.nan
    recording = Recording(signal, FS_HZ)
    assert log_amplitudes(recording) is None
    assert weigh_chest_gain(CALIBRATION, recording) is CALIBRATION


def test_the_odds_are_even_half_way_between_both_means() -> None:
    usual, shift = np.array(USUAL_LOG_MV), np.where(np.arange(12) < 6, 0.0, np.log(0.5))
    assert split_log_odds(usual + shift / 2) == pytest.approx(0.0, abs=1e-12)
    assert split_log_odds(usual + shift) == pytest.approx(float(shift / 2 @ np.array(NATS)))
    assert split_log_odds(usual) == pytest.approx(-float(shift / 2 @ np.array(NATS)))


def test_small_chest_leads_are_doubted_and_their_own_gain_is_not() -> None:
    usual = recording_of(np.exp(USUAL_LOG_MV))
    assert weigh_chest_gain(CALIBRATION, usual) is CALIBRATION
    doubted = weigh_chest_gain(CALIBRATION, halved(usual))
    assert doubted.confidence < CONFIDENT
    assert "1.0 times as large" in doubted.warnings[-1]  # 1.9 / 2
    assert "5 mm/mV, and not at 10" in doubted.warnings[-1]
    own = replace(CALIBRATION, chest=ChestGain(10.0, "measured"))
    assert weigh_chest_gain(own, halved(usual)) is own


@pytest.mark.realdata
def test_false_alarms_and_pages_caught_on_real_recordings(data_root: Path) -> None:
    root = data_root / "ptbxl"
    recordings = [load_record(root, entry) for entry in read_database(root)]
    alarms = [weigh_chest_gain(CALIBRATION, recording) is not CALIBRATION for recording in recordings]
    caught = [weigh_chest_gain(CALIBRATION, halved(recording)) is not CALIBRATION for recording in recordings]
    assert np.mean(alarms) < 0.06
    assert np.mean(caught) > 0.94
