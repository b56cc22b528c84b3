"""Intervals: beats whose waves begin and end where they were put, rhythms, leads that are not there."""

import doctest
import math
from dataclasses import dataclass

import numpy as np
import pytest

from ecg_flare.ecg.intervals import intervals as intervals_module
from ecg_flare.ecg.intervals.intervals import QUANTITIES, qtc_bazett_ms, qtc_fridericia_ms
from ecg_flare.ecg.intervals.measure import measure_intervals
from ecg_flare.ecg.leads import LEADS, limb_leads
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.rhythm import Rhythm
from ecg_flare.ecg.synthetic import draw_patient, synthesize

FS_HZ = 500.0


@dataclass(frozen=True)
class Heart:
    """A heart whose waves have ends: raised cosines for P and T, a triangle for QRS, times in seconds."""

    rr_s: float = 0.8
    pr_s: float = 0.16
    qrs_s: float = 0.09
    qt_s: float = 0.38
    axis_deg: float = 50.0

    def recording(self, duration_s: float = 10.0, noise_mv: float = 0.005) -> Recording:
        times = np.arange(round(duration_s * FS_HZ)) / FS_HZ
        p, qrs, t = (np.zeros_like(times) for _ in range(3))
        for onset in np.arange(0.45, duration_s, self.rr_s):
            p += _hump(times - onset + self.pr_s, 0.10)
            qrs += np.clip(1 - np.abs((times - onset) / self.qrs_s * 2 - 1), 0, None)
            t += _hump(times - onset - self.qt_s + 0.18, 0.18)
        angle = math.radians(self.axis_deg)
        wave = 0.15 * p + 1.2 * qrs + 0.35 * t
        lead_i, avf = math.cos(angle) * wave, math.sqrt(3) / 2 * math.sin(angle) * wave
        limbs = limb_leads(lead_i, avf + lead_i / 2)
        chest = np.outer(np.linspace(-0.8, 1.2, 6), wave)
        noise = np.random.default_rng(4).normal(0.0, noise_mv, (12, len(times)))
        return Recording((np.concatenate([limbs, chest]) + noise).astype(np.float32), FS_HZ)


def _hump(time_s: np.ndarray, width_s: float) -> np.ndarray:
    inside = (time_s > 0) & (time_s < width_s)
    return np.where(inside, 0.5 - 0.5 * np.cos(2 * np.pi * time_s / width_s), 0.0)


def printed(recording: Recording, *, rhythm_lead: str | None) -> Recording:
    """What a page of 3x4 prints of a recording."""
    signal = np.full_like(recording.signal_mv, np.nan)
    column = recording.n_samples // 4
    for row in range(12):
        stretch = slice(row // 3 * column, (row // 3 + 1) * column)
        signal[row, stretch] = recording.signal_mv[row, stretch]
    if rhythm_lead is not None:
        signal[LEADS.index(rhythm_lead)] = recording.lead(rhythm_lead)
    return Recording(signal, recording.fs_hz)


@pytest.mark.parametrize("heart", [Heart(), Heart(rr_s=0.6, qt_s=0.33), Heart(rr_s=1.2, pr_s=0.22, qrs_s=0.14)])
def test_intervals_are_those_that_the_waves_were_made_with(heart: Heart) -> None:
    found = measure_intervals(heart.recording())
    assert found.not_measured == {}
    assert found.heart_rate_bpm == pytest.approx(60 / heart.rr_s, abs=0.3)
    assert found.qrs_ms == pytest.approx(1000 * heart.qrs_s, abs=14)  # a corner of a triangle is seen early
    assert found.pr_ms == pytest.approx(1000 * heart.pr_s, abs=14)  # the foot of a cosine is not seen
    assert found.qt_ms == pytest.approx(1000 * heart.qt_s, abs=16)
    assert found.axis_deg == pytest.approx(heart.axis_deg, abs=3)
    assert found.qtc_bazett_ms == pytest.approx(found.qt_ms / math.sqrt(heart.rr_s), rel=0.01)
    assert found.qtc_fridericia_ms == pytest.approx(found.qt_ms / heart.rr_s ** (1 / 3), rel=0.01)


@pytest.mark.parametrize(
    ("longer", "field", "change_ms"),
    [(Heart(pr_s=0.20), "pr_ms", 40), (Heart(qrs_s=0.13), "qrs_ms", 40), (Heart(qt_s=0.42), "qt_ms", 40)],
)
def test_a_longer_interval_is_measured_as_so_much_longer(longer: Heart, field: str, change_ms: float) -> None:
    before, after = (measure_intervals(heart.recording()).values[field] for heart in (Heart(), longer))
    assert after - before == pytest.approx(change_ms, abs=5)


@pytest.mark.parametrize("axis_deg", [-150.0, -60.0, 0.0, 85.0, 120.0, 179.0])
def test_the_axis_is_that_of_the_vector(axis_deg: float) -> None:
    found = measure_intervals(Heart(axis_deg=axis_deg).recording()).axis_deg
    assert (found - axis_deg + 180) % 360 - 180 == pytest.approx(0, abs=4)


def test_two_limb_leads_give_the_axis_of_six() -> None:
    signal = Heart(axis_deg=100.0).recording().signal_mv.copy()
    signal[[0, 1, 3, 5]] = np.nan  # III and aVL are left
    assert measure_intervals(Recording(signal, FS_HZ)).axis_deg == pytest.approx(100, abs=4)


@pytest.mark.parametrize("rhythm_lead", ["II", None])
def test_a_page_of_short_leads_gives_the_same_intervals(rhythm_lead: str | None) -> None:
    whole = Heart().recording()
    part = measure_intervals(printed(whole, rhythm_lead=rhythm_lead))
    for field, value in measure_intervals(whole).values.items():
        assert part.values[field] == pytest.approx(value, abs=8), field


def test_another_sampling_rate_gives_the_same_intervals() -> None:
    whole = Heart().recording()
    other = measure_intervals(whole.resampled(250.0))
    for field, value in measure_intervals(whole).values.items():
        assert other.values[field] == pytest.approx(value, abs=6), field


def test_a_long_pr_interval_is_seen_in_first_degree_block() -> None:
    measured = [
        measure_intervals(synthesize(np.random.default_rng(seed), rhythm=Rhythm.FIRST_DEGREE_AV_BLOCK)).pr_ms
        for seed in range(6)
    ]
    assert sum(value is not None and value > 200 for value in measured) >= 4
    assert all(value is None or value > 190 for value in measured)


def test_no_pr_interval_is_given_in_atrial_fibrillation() -> None:
    for seed in range(8):
        found = measure_intervals(synthesize(np.random.default_rng(seed), rhythm=Rhythm.ATRIAL_FIBRILLATION))
        assert found.pr_ms is None
        assert found.not_measured["pr_ms"]


def test_ectopic_beats_stay_out_of_the_qrs_duration() -> None:
    rng = np.random.default_rng(2)
    patient = draw_patient(rng, Rhythm.VENTRICULAR_ECTOPICS)
    found = measure_intervals(synthesize(rng, patient=patient))
    assert found.qrs_ms < 120
    assert (found.axis_deg - patient.axis_deg + 180) % 360 - 180 == pytest.approx(0, abs=12)


def test_the_examples_of_the_docs_hold() -> None:
    assert doctest.testmod(intervals_module) == (0, 3)


def test_rates_are_corrected_by_hand() -> None:
    assert qtc_bazett_ms(360, 0.64) == pytest.approx(450)
    assert qtc_fridericia_ms(360, 0.512) == pytest.approx(450)


def test_nothing_is_measured_on_a_flat_line_and_each_quantity_says_why() -> None:
    found = measure_intervals(Recording(np.zeros((12, 5000), np.float32), FS_HZ))
    assert set(found.not_measured) == set(QUANTITIES)
    assert all(value is None for value in found.values.values())


def test_one_beat_has_no_rate_and_no_corrected_qt() -> None:
    found = measure_intervals(Heart(rr_s=5.0).recording(duration_s=1.3))
    assert found.heart_rate_bpm is None
    assert found.qtc_bazett_ms is None
    assert "heart_rate_bpm" in found.not_measured
    assert "qtc_bazett_ms" in found.not_measured
    assert found.qrs_ms == pytest.approx(90, abs=14)


def test_chest_leads_alone_give_no_axis() -> None:
    signal = Heart().recording().signal_mv.copy()
    signal[:6] = np.nan
    found = measure_intervals(Recording(signal, FS_HZ))
    assert found.axis_deg is None
    assert found.not_measured == {"axis_deg": "fewer than two limb leads"}


def test_what_is_not_measured_is_null_in_json_and_said_in_text() -> None:
    found = measure_intervals(synthesize(np.random.default_rng(3), rhythm=Rhythm.ATRIAL_FIBRILLATION))
    assert found.to_json()["pr_ms"] is None
    assert found.to_json()["not_measured"]["pr_ms"]
    assert "PR not measured" in found.to_text()
