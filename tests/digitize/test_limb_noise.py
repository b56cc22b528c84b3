"""Noise of limb leads that was put there, found again."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.digitize.leads.limb_groups import limb_groups
from ecg_flare.digitize.leads.limb_noise import limb_noise
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import synthesize

CLEAN = synthesize(np.random.default_rng(3))


def noisy(sigma_mv: float, rows: slice = slice(0, 6), samples: slice = slice(None)) -> Recording:
    signal = CLEAN.signal_mv.copy()
    signal[rows, samples] += np.random.default_rng(1).normal(0.0, sigma_mv, signal[rows, samples].shape)
    return replace(CLEAN, signal_mv=signal)


def printed(recording: Recording, parts: dict[str, slice]) -> Recording:
    """The recording with these parts of leads, NaN elsewhere."""
    signal = np.full_like(recording.signal_mv, np.nan)
    for name, part in parts.items():
        row = recording.lead_names.index(name)
        signal[row, part] = recording.signal_mv[row, part]
    return replace(recording, signal_mv=signal)


def test_six_leads_of_one_heart_have_no_noise_and_what_is_added_is_found() -> None:
    assert limb_noise(CLEAN)[0].noise_mv < 1e-6
    (found,) = limb_noise(noisy(0.05))
    assert found.leads == ("I", "II", "III", "aVR", "aVL", "aVF")
    assert found.noise_mv == pytest.approx(0.05, rel=0.02)
    assert not found.is_concentrated


def test_three_leads_say_the_same_and_so_does_cabrera_s_first_column() -> None:
    second, first = slice(0, 2500), slice(2500, 5000)
    columns = {"aVL": second, "I": second, "aVR": second, "II": first, "aVF": first, "III": first}
    found = limb_noise(printed(noisy(0.05), columns))
    assert [group.leads for group in found] == [("I", "aVR", "aVL"), ("II", "III", "aVF")]
    assert [group.noise_mv for group in found] == pytest.approx([0.05, 0.05], rel=0.05)
    assert all(np.abs(group.outside @ group.outside.T - np.eye(1)).max() < 1e-12 for group in limb_groups(CLEAN)[:0])


def test_noise_in_one_place_is_named_by_its_time() -> None:
    (found,) = limb_noise(noisy(0.6, slice(1, 2), slice(2000, 2250)))
    assert found.is_concentrated
    assert found.worst_s == 4.0
    # one of six leads has noise: its 4 directions of 6 carry 4/6 of it each, spread over 4
    assert found.worst_mv == pytest.approx(0.6 / np.sqrt(6), rel=0.15)


def test_leads_of_different_times_are_no_group() -> None:
    apart = {"I": slice(0, 1000), "II": slice(1000, 2000), "III": slice(2000, 3000)}
    assert limb_noise(printed(CLEAN, apart)) == ()
