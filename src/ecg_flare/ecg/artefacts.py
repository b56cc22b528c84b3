"""What an electrocardiograph records besides the heart: baseline wander, muscle noise and mains hum.

Each disturbance arises at the nine electrodes (right arm, left arm, left leg, C1 to C6) and reaches the leads as the
heart's signal does, as differences between electrodes: Einthoven's law holds for the noise too.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.errors import RecordError

_N_ELECTRODES: Final = 9
_WANDER_BAND_HZ: Final = (0.05, 0.5)
_MUSCLE_BAND_HZ: Final = (15.0, 150.0)


def _independent_leads() -> Float64[np.ndarray, "8 9"]:
    matrix = np.zeros((8, _N_ELECTRODES))
    matrix[0, [0, 1]] = -1, 1  # I = left arm - right arm
    matrix[1, [0, 2]] = -1, 1  # II = left leg - right arm
    for chest in range(6):
        matrix[2 + chest, :3] = -1 / 3  # Wilson's central terminal
        matrix[2 + chest, 3 + chest] = 1
    return matrix


ELECTRODES_TO_LEADS: Final = _independent_leads()
"""Leads I, II, V1 to V6 as combinations of the potentials of RA, LA, LL, C1 to C6."""


@dataclass(frozen=True)
class Artefacts:
    """How strong each disturbance is: the RMS at one electrode, in mV, and the mains frequency.

    Raises RecordError if an amplitude is negative or not finite, or the frequency not positive.
    """

    wander_mv: float = 0.0
    muscle_mv: float = 0.0
    mains_mv: float = 0.0
    mains_hz: float = 50.0

    def __post_init__(self) -> None:
        for field in ("wander_mv", "muscle_mv", "mains_mv"):
            value = getattr(self, field)
            if not (np.isfinite(value) and value >= 0):
                raise RecordError(f"{field} must be an RMS amplitude in mV, zero or more; found {value}.")
        if not (np.isfinite(self.mains_hz) and self.mains_hz > 0):
            raise RecordError(f"mains_hz must be a positive frequency (50 or 60), found {self.mains_hz}.")


def artefact_leads(
    rng: np.random.Generator, artefacts: Artefacts, n_samples: int, fs_hz: float
) -> Float64[np.ndarray, "8 samples"]:
    """Draw the disturbances as leads I, II, V1 to V6, in mV."""
    potentials = (
        artefacts.wander_mv * _band_noise(rng, n_samples, fs_hz, _WANDER_BAND_HZ)
        + artefacts.muscle_mv * _band_noise(rng, n_samples, fs_hz, _MUSCLE_BAND_HZ)
        + artefacts.mains_mv * _mains(rng, n_samples, fs_hz, artefacts.mains_hz)
    )
    leads: Float64[np.ndarray, "8 samples"] = ELECTRODES_TO_LEADS @ potentials
    return leads


def _band_noise(
    rng: np.random.Generator, n_samples: int, fs_hz: float, band_hz: tuple[float, float]
) -> Float64[np.ndarray, "9 samples"]:
    # Drawn over a longer time and cut, lest the recording's end fits its start.
    n_drawn = max(2 * n_samples, int(np.ceil(4 * fs_hz / band_hz[0])))
    frequencies_hz = np.fft.rfftfreq(n_drawn, 1 / fs_hz)
    inside = (frequencies_hz >= band_hz[0]) & (frequencies_hz <= band_hz[1])
    shape = (_N_ELECTRODES, frequencies_hz.size)
    spectrum = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * inside
    noise = np.fft.irfft(spectrum, n_drawn, axis=1)
    rms = np.sqrt(np.mean(noise**2, axis=1, keepdims=True))
    scaled: Float64[np.ndarray, "9 samples"] = noise[:, :n_samples] / np.maximum(rms, np.finfo(float).tiny)
    return scaled


def _mains(rng: np.random.Generator, n_samples: int, fs_hz: float, mains_hz: float) -> Float64[np.ndarray, "9 samples"]:
    times_s = np.arange(n_samples) / fs_hz
    strength = rng.uniform(0.4, 1.6, (_N_ELECTRODES, 1))
    phase = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.3, (_N_ELECTRODES, 1))
    hum: Float64[np.ndarray, "9 samples"] = np.sqrt(2) * strength * np.sin(2 * np.pi * mains_hz * times_s + phase)
    return hum
