"""A heart of equal beats, with one beat of one lead, or of all, made unlike."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.digitize.leads.repeated_beats import beat_samples, odd_beats
from ecg_flare.ecg.record import Recording

TIMES = np.arange(4000) / 500.0
AT = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)


def heart() -> Recording:
    beat = sum(np.exp(-0.5 * ((TIMES - at) / 0.012) ** 2) for at in AT)
    return Recording(np.outer(np.linspace(0.5, 1.5, 12), beat).astype(np.float32), 500.0)


def halved(rows: slice) -> Recording:
    signal = heart().signal_mv.copy()
    signal[rows, 1900:2100] *= 0.5
    return replace(heart(), signal_mv=signal)


def test_beats_stand_where_all_leads_are_steep() -> None:
    assert np.array(beat_samples(heart())) / 500.0 == pytest.approx(AT, abs=0.02)
    assert beat_samples(Recording(np.full((12, 1000), np.nan, np.float32), 500.0)) == ()


def test_a_beat_that_one_lead_alone_loses_is_found_with_its_energy() -> None:
    """Half of a Gaussian of height a is lost: (a / 2)^2 sqrt(pi) s."""
    (found,) = odd_beats(halved(slice(3, 4)))
    height = np.linspace(0.5, 1.5, 12)[3]
    assert found.lead == "aVR"
    assert found.time_s == pytest.approx(4.0, abs=0.02)
    assert found.energy == pytest.approx((height / 2) ** 2 * np.sqrt(np.pi) * 0.012, rel=0.05)


def test_a_beat_that_is_unlike_in_every_lead_is_the_heart_s_own() -> None:
    assert odd_beats(halved(slice(0, 12))) == ()
    assert odd_beats(heart()) == ()
