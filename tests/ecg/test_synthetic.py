"""Whole synthetic recordings: identities, reproducibility, and what each rhythm must show."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.ecg.artefacts import Artefacts
from ecg_flare.ecg.leads import LEADS, einthoven_residual_mv, goldberger_residual_mv
from ecg_flare.ecg.morphology import normal_beat
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import DOWER, Patient, Rhythm, draw_patient, electrical_axis_deg, synthesize
from ecg_flare.errors import RecordError


def quiet(rhythm: Rhythm, seed: int, bpm: float = 70.0) -> Recording:
    """A recording without artefacts, at a known rate."""
    patient = draw_patient(np.random.default_rng(seed), rhythm)
    patient = replace(patient, artefacts=Artefacts(), heart_rate_bpm=bpm)
    return synthesize(np.random.default_rng(seed), patient=patient, duration_s=20.0)


def r_peaks(recording: Recording) -> np.ndarray:
    """Samples of the steepest moments, one a beat: a plain detector, good enough for clean signals."""
    slope = np.abs(np.diff(recording.signal_mv.astype(np.float64), axis=1)).sum(axis=0)
    slope = np.convolve(slope, np.ones(40) / 40, mode="same")
    peaks = []
    remaining = slope.copy()
    while remaining.max() > 0.4 * slope.max():
        peak = int(remaining.argmax())
        peaks.append(peak)
        remaining[max(0, peak - 130) : peak + 130] = 0
    return np.sort(peaks)


@settings(max_examples=40, deadline=None)
@given(
    rhythm=st.sampled_from(Rhythm),
    seed=st.integers(0, 2**32),
    duration_s=st.floats(0.01, 12),
    fs_hz=st.sampled_from([100.0, 250.0, 360.0, 500.0, 1000.0]),
)
def test_limb_lead_identities_hold_for_every_recording(
    rhythm: Rhythm, seed: int, duration_s: float, fs_hz: float
) -> None:
    recording = synthesize(np.random.default_rng(seed), rhythm=rhythm, duration_s=duration_s, fs_hz=fs_hz)
    assert recording.signal_mv.shape == (12, round(duration_s * fs_hz))
    assert np.isfinite(recording.signal_mv).all()
    limb = recording.signal_mv[:6]
    tolerance = 2e-7 * max(1.0, float(np.abs(limb).max()))
    assert np.abs(einthoven_residual_mv(limb)).max() <= tolerance
    assert np.abs(goldberger_residual_mv(limb)).max() <= tolerance


@pytest.mark.parametrize("rhythm", [*Rhythm, None])
def test_same_generator_gives_the_same_recording(rhythm: Rhythm | None) -> None:
    first, second = (synthesize(np.random.default_rng(9), rhythm=rhythm) for _ in range(2))
    np.testing.assert_array_equal(first.signal_mv, second.signal_mv)
    assert first.patient_id == second.patient_id
    other = synthesize(np.random.default_rng(10), rhythm=rhythm)
    assert not np.array_equal(first.signal_mv, other.signal_mv)


def test_one_patient_has_different_recordings() -> None:
    rng = np.random.default_rng(0)
    patient = draw_patient(rng, Rhythm.SINUS)
    first, second = synthesize(rng, patient=patient), synthesize(rng, patient=patient)
    assert first.patient_id == second.patient_id == patient.patient_id
    assert not np.array_equal(first.signal_mv, second.signal_mv)


def test_all_rhythms_are_drawn() -> None:
    rng = np.random.default_rng(0)
    assert {draw_patient(rng).rhythm for _ in range(150)} == set(Rhythm)


@pytest.mark.parametrize("rhythm", Rhythm)
def test_axis_of_the_drawn_beat_is_the_patients(rhythm: Rhythm) -> None:
    for seed in range(10):
        patient = draw_patient(np.random.default_rng(seed), rhythm)
        assert electrical_axis_deg(patient.beat) == pytest.approx(patient.axis_deg, abs=0.5)


def test_dower_matrix_knows_where_each_electrode_lies() -> None:
    assert DOWER[:, 0].argmax() == 5  # V4 looks to the left
    assert DOWER[:, 1].argmax() == 1  # II looks to the feet
    assert DOWER[:, 2].argmin() == 3  # V2 looks at the front


@pytest.mark.parametrize("bpm", [50.0, 75.0, 110.0])
def test_rate_is_the_patients(bpm: float) -> None:
    peaks = r_peaks(quiet(Rhythm.SINUS, 3, bpm))
    assert 60 / (np.diff(peaks).mean() / 500) == pytest.approx(bpm, rel=0.03)


def test_amplitudes_are_those_of_healthy_adults() -> None:
    amplitudes = {lead: [] for lead in LEADS}
    for seed in range(40):
        recording = quiet(Rhythm.SINUS, seed)
        for lead in LEADS:
            amplitudes[lead].append((recording.lead(lead).max(), recording.lead(lead).min()))
    median = {lead: np.median(values, axis=0) for lead, values in amplitudes.items()}
    assert 1.0 < median["V5"][0] < 2.0
    assert median["V1"][0] < 0.5
    assert median["V1"][1] < -0.6
    assert 0.5 < median["II"][0] < 1.6
    assert median["aVR"][1] < -0.5


def test_fibrillation_has_no_p_wave() -> None:
    def beat_average(rhythm: Rhythm) -> np.ndarray:
        recording = quiet(rhythm, 5)
        peaks = [peak for peak in r_peaks(recording) if 130 < peak < recording.n_samples - 10]
        return np.mean([recording.lead("II")[peak - 120 : peak - 35] for peak in peaks], axis=0)

    assert np.ptp(beat_average(Rhythm.SINUS)) > 0.07
    assert np.ptp(beat_average(Rhythm.ATRIAL_FIBRILLATION)) < 0.05
    peaks = r_peaks(quiet(Rhythm.ATRIAL_FIBRILLATION, 5))
    assert np.diff(peaks).std() / np.diff(peaks).mean() > 0.12


def test_low_voltage_meets_its_definition() -> None:
    for seed in range(20):
        recording = quiet(Rhythm.LOW_VOLTAGE, seed)
        assert np.ptp(recording.signal_mv[:6], axis=1).max() < 0.75
        assert np.ptp(recording.signal_mv[6:], axis=1).max() < 1.0


def test_artefacts_are_added_on_top() -> None:
    patient = Patient(70.0, 40.0, normal_beat())
    noisy = replace(patient, artefacts=Artefacts(wander_mv=0.1, muscle_mv=0.02, mains_mv=0.01))
    clean = synthesize(np.random.default_rng(1), patient=patient)
    disturbed = synthesize(np.random.default_rng(1), patient=noisy)
    difference = disturbed.signal_mv - clean.signal_mv
    assert 0.05 < difference.std() < 0.3
    assert np.abs(einthoven_residual_mv(difference)).max() < 1e-6


class TestRefusals:
    @pytest.mark.parametrize(("duration_s", "fs_hz"), [(0.0, 500.0), (-1.0, 500.0), (10.0, 0.0), (np.nan, 500.0)])
    def test_no_samples(self, duration_s: float, fs_hz: float) -> None:
        with pytest.raises(RecordError, match="positive and finite"):
            synthesize(np.random.default_rng(0), duration_s=duration_s, fs_hz=fs_hz)

    def test_patient_and_rhythm_that_disagree(self) -> None:
        patient = Patient(70.0, 40.0, normal_beat())
        with pytest.raises(RecordError, match="has sinus, not lbbb"):
            synthesize(np.random.default_rng(0), patient=patient, rhythm=Rhythm.LBBB)

    @pytest.mark.parametrize("bpm", [0.0, 19.9, 251.0, np.nan])
    def test_impossible_heart_rate(self, bpm: float) -> None:
        with pytest.raises(RecordError, match="heart_rate_bpm"):
            Patient(bpm, 40.0, normal_beat())

    def test_ectopics_without_a_shape(self) -> None:
        with pytest.raises(RecordError, match="shape of the ectopic beat"):
            Patient(70.0, 40.0, normal_beat(), Rhythm.VENTRICULAR_ECTOPICS)

    def test_impossible_axis(self) -> None:
        with pytest.raises(RecordError, match="axis_deg"):
            Patient(70.0, np.inf, normal_beat())
