"""Synthetic 12-lead recordings: a heart dipole in three dimensions, seen by the leads through the Dower matrix.

    beat times (rhythm.py) x beat shapes (morphology.py) -> dipole(t) -> leads I, II, V1..V6 -> + artefacts -> 12 leads

The other limb leads are derived from I and II in float64, so that II = I + III and aVR + aVL + aVF = 0 hold to the
rounding of float32: within 2e-7 of the largest value, that is a millionth of a millivolt.

Source of the projection: Dower et al. 1980, "On deriving the electrocardiogram from vectorcardiographic leads",
Clinical Cardiology 3:87.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.ecg import morphology
from ecg_flare.ecg.artefacts import Artefacts, artefact_leads
from ecg_flare.ecg.leads import limb_leads
from ecg_flare.ecg.morphology import Beat, DipoleVector, Part, Territory
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.rhythm import BeatTime, Rhythm, beat_times, flutter_period_s
from ecg_flare.errors import RecordError

__all__ = ["DOWER", "Artefacts", "Patient", "Rhythm", "draw_patient", "electrical_axis_deg", "synthesize"]

DOWER: Final = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)
"""Leads I, II, V1 to V6 from the dipole's x (left), y (feet) and z (back)."""

_GAUSSIAN_REACH: Final = 6.0
_ECTOPIC_FOCI: Final[tuple[DipoleVector, ...]] = (
    (0.55, 1.30, 0.70),  # right ventricular outflow tract: LBBB-like, downward axis
    (1.15, -0.60, 0.85),  # right ventricular apex: LBBB-like, upward axis
    (-1.10, -0.70, -0.85),  # left posterior wall: RBBB-like, upward axis
    (-0.90, 0.95, -0.80),  # left anterior wall: RBBB-like, downward axis
)


@dataclass(frozen=True)
class Patient:
    """A synthetic person: what stays the same from one recording to the next.

    `axis_deg` is the frontal QRS axis as a cardiologist reads it from leads I and aVF (0 left arm, 90 feet). Raises
    RecordError if the heart rate is outside 20 to 250 beats a minute or the axis is not finite.
    """

    heart_rate_bpm: float
    axis_deg: float
    beat: Beat
    rhythm: Rhythm = Rhythm.SINUS
    ectopic: Beat | None = None
    atrial_mv: float = 0.06
    artefacts: Artefacts = field(default_factory=Artefacts)
    patient_id: str = ""

    def __post_init__(self) -> None:
        if not 20 <= self.heart_rate_bpm <= 250:
            raise RecordError(f"heart_rate_bpm must be from 20 to 250, found {self.heart_rate_bpm}.")
        if not np.isfinite(self.axis_deg):
            raise RecordError(f"axis_deg must be an angle in degrees, found {self.axis_deg}.")
        if self.rhythm is Rhythm.VENTRICULAR_ECTOPICS and self.ectopic is None:
            raise RecordError("A patient with ventricular ectopics needs the shape of the ectopic beat; found None.")


def draw_patient(rng: np.random.Generator, rhythm: Rhythm | None = None) -> Patient:
    """Draw a person with the given rhythm, or with one drawn evenly from all."""
    if rhythm is None:
        rhythm = list(Rhythm)[rng.integers(len(Rhythm))]
    typical_bpm, typical_axis_deg = _typical(rhythm)
    # An infarction's wall stays where it is in the chest: turn the heart little, or inferior becomes lateral.
    spread_deg = 8.0 if rhythm is Rhythm.ST_ELEVATION else 18.0
    axis_deg = typical_axis_deg + spread_deg * float(np.clip(rng.standard_normal(), -2.2, 2.2))
    voltage = float(np.exp(rng.normal(0, 0.15)))
    beat = morphology.individual(_draw_beat(rng, rhythm), rng).scaled(voltage)
    beat = _turned_to_axis(beat.rotated(horizontal_deg=rng.normal(0, 8)), axis_deg)
    focus = _ECTOPIC_FOCI[rng.integers(len(_ECTOPIC_FOCI))]
    ectopic = morphology.individual(morphology.ventricular_ectopic(focus), rng)
    return Patient(
        heart_rate_bpm=float(np.clip(rng.normal(typical_bpm, 12), 45, 150)),
        axis_deg=axis_deg,
        beat=beat,
        rhythm=rhythm,
        ectopic=ectopic if rhythm is Rhythm.VENTRICULAR_ECTOPICS else None,
        atrial_mv=float(rng.uniform(0.05, 0.12)) * (0.5 if rhythm is Rhythm.LOW_VOLTAGE else 1.0),
        artefacts=_draw_artefacts(rng),
        patient_id=f"S{rng.integers(10**9):09d}",
    )


def synthesize(
    rng: np.random.Generator,
    *,
    rhythm: Rhythm | None = None,
    duration_s: float = 10.0,
    fs_hz: float = 500.0,
    patient: Patient | None = None,
) -> Recording:
    """Draw a 12-lead recording in mV; the same generator state gives the same recording.

    Without a `patient` one is drawn, of the given `rhythm` if there is one. Raises RecordError if both are given and
    disagree, or if the recording would have no samples.
    """
    if not (np.isfinite(fs_hz) and fs_hz > 0 and np.isfinite(duration_s) and round(duration_s * fs_hz) >= 1):
        raise RecordError(f"duration_s and fs_hz must be positive and finite, found {duration_s} s at {fs_hz} Hz.")
    if patient is None:
        patient = draw_patient(rng, rhythm)
    elif rhythm is not None and rhythm is not patient.rhythm:
        raise RecordError(f"The patient has {patient.rhythm.value}, not {rhythm.value}; give one of the two.")
    n_samples = round(duration_s * fs_hz)
    times_s = np.arange(n_samples) / fs_hz
    beats = beat_times(rng, patient.rhythm, patient.heart_rate_bpm, duration_s)
    dipole_mv = _breathing(rng, times_s) * _beats_dipole(patient, beats, times_s) + _atria(rng, patient, beats, times_s)
    independent_mv = DOWER @ dipole_mv + artefact_leads(rng, patient.artefacts, n_samples, fs_hz)
    limb_mv = limb_leads(independent_mv[0], independent_mv[1])
    signal_mv = np.concatenate([limb_mv, independent_mv[2:]]).astype(np.float32)
    return Recording(signal_mv, fs_hz, patient_id=patient.patient_id)


def electrical_axis_deg(beat: Beat) -> float:
    """Return the frontal QRS axis in degrees, from the areas of QRS in leads I and aVF."""
    area_i, area_ii = (DOWER @ beat.qrs_area())[:2]
    area_avf = area_ii - area_i / 2
    # An augmented lead is sqrt(3)/2 as sensitive as a bipolar one.
    return float(np.degrees(np.arctan2(area_avf * 2 / np.sqrt(3), area_i)))


def _turned_to_axis(beat: Beat, axis_deg: float) -> Beat:
    # The Dower matrix shears the frontal plane: turning the dipole by an angle turns the axis by another. Newton's
    # method with slope 1 converges in a few steps.
    for _ in range(30):
        missing_deg = (axis_deg - electrical_axis_deg(beat) + 180) % 360 - 180
        beat = beat.rotated(frontal_deg=0.8 * missing_deg)
    return beat


def _typical(rhythm: Rhythm) -> tuple[float, float]:
    bpm = {Rhythm.ATRIAL_FIBRILLATION: 95, Rhythm.ATRIAL_FLUTTER: 85, Rhythm.FIRST_DEGREE_AV_BLOCK: 64}
    axis_deg = {Rhythm.LBBB: 0, Rhythm.RBBB: 40, Rhythm.LV_HYPERTROPHY: 10}
    return float(bpm.get(rhythm, 72)), float(axis_deg.get(rhythm, 48))


def _draw_beat(rng: np.random.Generator, rhythm: Rhythm) -> Beat:
    match rhythm:
        case Rhythm.LBBB:
            return morphology.left_bundle_branch_block()
        case Rhythm.RBBB:
            return morphology.right_bundle_branch_block()
        case Rhythm.ST_ELEVATION:
            territory = list(Territory)[rng.integers(len(Territory))]
            return morphology.st_elevation(territory, rng.uniform(0.7, 1.6))
        case Rhythm.ST_DEPRESSION:
            return morphology.st_depression(rng.uniform(0.8, 1.8))
        case Rhythm.LV_HYPERTROPHY:
            return morphology.left_ventricular_hypertrophy()
        case Rhythm.LOW_VOLTAGE:
            return morphology.normal_beat().scaled(rng.uniform(0.25, 0.35), (Part.QRS, Part.T)).scaled(0.6, (Part.P,))
        case Rhythm.FIRST_DEGREE_AV_BLOCK:
            return morphology.normal_beat().delayed_conduction(rng.uniform(0.08, 0.14))
        case Rhythm.ATRIAL_FIBRILLATION | Rhythm.ATRIAL_FLUTTER:
            return morphology.normal_beat().without(Part.P)
        case Rhythm.SINUS | Rhythm.VENTRICULAR_ECTOPICS:
            return morphology.normal_beat()


def _draw_artefacts(rng: np.random.Generator) -> Artefacts:
    return Artefacts(
        wander_mv=float(rng.uniform(0.005, 0.05)),
        muscle_mv=float(rng.uniform(0.001, 0.008)),
        mains_mv=float(rng.uniform(0, 0.004)),
        mains_hz=float(rng.choice([50.0, 60.0])),
    )


def _breathing(rng: np.random.Generator, times_s: Float64[np.ndarray, " samples"]) -> Float64[np.ndarray, " samples"]:
    depth, rate_hz, phase = rng.uniform(0.01, 0.05), rng.uniform(0.18, 0.30), rng.uniform(0, 2 * np.pi)
    modulation: Float64[np.ndarray, " samples"] = 1 + depth * np.sin(2 * np.pi * rate_hz * times_s + phase)
    return modulation


def _beats_dipole(
    patient: Patient, beats: tuple[BeatTime, ...], times_s: Float64[np.ndarray, " samples"]
) -> Float64[np.ndarray, "3 samples"]:
    dipole_mv = np.zeros((3, times_s.size))
    for beat_time in beats:
        shape = patient.ectopic if beat_time.ectopic and patient.ectopic else patient.beat
        stretch = np.clip(beat_time.rr_s, 0.35, 1.5) ** (1 / 3)  # Fridericia 1920: QT grows with the cube root of RR
        for wave in shape.waves:
            slow = stretch if wave.part in (Part.ST, Part.T) else 1.0
            centre_s, width_s = beat_time.time_s + slow * wave.centre_s, slow * wave.width_s
            first, last = np.searchsorted(times_s, centre_s + _GAUSSIAN_REACH * width_s * np.array([-1, 1]))
            height = np.exp(-0.5 * ((times_s[first:last] - centre_s) / width_s) ** 2)
            dipole_mv[:, first:last] += np.outer(wave.dipole_mv, height)
    return dipole_mv


def _atria(
    rng: np.random.Generator,
    patient: Patient,
    beats: tuple[BeatTime, ...],
    times_s: Float64[np.ndarray, " samples"],
) -> Float64[np.ndarray, "3 samples"]:
    if patient.rhythm is Rhythm.ATRIAL_FIBRILLATION:
        return _fibrillation(rng, patient.atrial_mv, times_s)
    if patient.rhythm is Rhythm.ATRIAL_FLUTTER:
        phase = 2 * np.pi * (times_s - beats[0].time_s) / flutter_period_s(patient.heart_rate_bpm)
        # A slow fall and a quick rise in II, III and aVF: the sawtooth of typical flutter.
        saw = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.25 * np.sin(3 * phase)
        return np.outer(patient.atrial_mv * np.array([-0.3, 1.4, -0.9]), saw)
    return np.zeros((3, times_s.size))


def _fibrillation(
    rng: np.random.Generator, atrial_mv: float, times_s: Float64[np.ndarray, " samples"]
) -> Float64[np.ndarray, "3 samples"]:
    # Several wavelets of 4 to 9 Hz, each with its own direction and drifting frequency, strongest in V1.
    dipole_mv = np.zeros((3, times_s.size))
    direction = np.array([-0.5, 0.5, -0.8])
    for _ in range(4):
        rate_hz = rng.uniform(4.5, 8.5)
        drift = rng.uniform(0.5, 1.5) * np.sin(2 * np.pi * rng.uniform(0.2, 0.8) * times_s + rng.uniform(0, 2 * np.pi))
        phase = 2 * np.pi * rate_hz * times_s + drift + rng.uniform(0, 2 * np.pi)
        wavelet = np.sin(phase) + 0.3 * np.sin(2 * phase)
        dipole_mv += np.outer(0.38 * atrial_mv * (direction + rng.normal(0, 0.3, 3)), wavelet)
    return dipole_mv
