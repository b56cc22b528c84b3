"""Wander, muscle noise and hum, as an electrocardiograph would pick them up."""

import numpy as np
import pytest

from ecg_flare.ecg.artefacts import ELECTRODES_TO_LEADS, Artefacts, artefact_leads
from ecg_flare.errors import RecordError

FS_HZ = 500.0
N_SAMPLES = 30_000


def drawn(artefacts: Artefacts) -> np.ndarray:
    return artefact_leads(np.random.default_rng(4), artefacts, N_SAMPLES, FS_HZ)


def power_share(signal: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(signal, axis=1)) ** 2
    frequencies_hz = np.fft.rfftfreq(signal.shape[1], 1 / FS_HZ)
    return float(power[:, (frequencies_hz >= low_hz) & (frequencies_hz <= high_hz)].sum() / power.sum())


def test_none_is_silent() -> None:
    assert not drawn(Artefacts()).any()


@pytest.mark.parametrize(
    ("artefacts", "low_hz", "high_hz"),
    [
        (Artefacts(wander_mv=0.1), 0.0, 0.6),
        (Artefacts(muscle_mv=0.1), 14.0, 151.0),
        (Artefacts(mains_mv=0.1, mains_hz=50.0), 49.8, 50.2),
        (Artefacts(mains_mv=0.1, mains_hz=60.0), 59.8, 60.2),
    ],
)
def test_each_disturbance_keeps_to_its_band(artefacts: Artefacts, low_hz: float, high_hz: float) -> None:
    assert power_share(drawn(artefacts), low_hz, high_hz) > 0.98


def test_amplitude_is_the_rms_at_an_electrode() -> None:
    # A limb lead is a difference of two independent electrodes, a chest lead has one and a third of three.
    rms = drawn(Artefacts(muscle_mv=0.02)).std(axis=1)
    np.testing.assert_allclose(rms[:2], 0.02 * np.sqrt(2), rtol=0.05)
    np.testing.assert_allclose(rms[2:], 0.02 * np.sqrt(4 / 3), rtol=0.05)


def test_leads_do_not_see_what_all_electrodes_share() -> None:
    np.testing.assert_allclose(ELECTRODES_TO_LEADS.sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize("field", ["wander_mv", "muscle_mv", "mains_mv"])
@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_impossible_amplitudes_are_refused(field: str, value: float) -> None:
    with pytest.raises(RecordError, match=f"{field} must be .* found {value}"):
        Artefacts(**{field: value})


def test_impossible_mains_frequency_is_refused() -> None:
    with pytest.raises(RecordError, match="mains_hz must be a positive frequency"):
        Artefacts(mains_hz=0.0)
