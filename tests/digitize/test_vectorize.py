"""Polylines to millivolts: scale, sign, time, gaps."""

import numpy as np
import pytest

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.vectorize import vectorize
from ecg_flare.ecg.leads import LEADS


def scale_of(lead: str) -> float:
    """80 px/mV, and 40 in the chest leads from V4 on."""
    return 40.0 if lead in ("V4", "V5", "V6") else 80.0


def sine_line(width: int = 1000) -> np.ndarray:
    x = np.arange(width, dtype=np.float64)
    return np.stack([x, 300 - 80 * np.sin(2 * np.pi * x / 200)], axis=1)


def test_scale_sign_and_time() -> None:
    """200 px/s and 80 px/mV: a sine of 1 Hz and 1 mV."""
    span = LeadSpan("V3", 0, 0.0, 1000.0, 0.0, 5.0, False)
    signal = vectorize([sine_line()], [span], scale_of, 500.0)
    assert signal.shape == (12, 2500)
    expected = np.sin(2 * np.pi * np.arange(2500) / 500)
    np.testing.assert_allclose(signal[LEADS.index("V3")][:2490], expected[:2490], atol=2e-3)
    assert np.isnan(np.delete(signal, LEADS.index("V3"), axis=0)).all()


def test_each_lead_has_its_own_scale() -> None:
    spans = [LeadSpan(lead, 0, 0.0, 1000.0, 0.0, 5.0, False) for lead in ("V3", "V4")]
    signal = vectorize([sine_line()], spans, scale_of, 500.0)
    np.testing.assert_allclose(signal[LEADS.index("V4")], 2 * signal[LEADS.index("V3")], rtol=1e-5, atol=1e-6)


def test_an_inverted_lead_is_turned_back() -> None:
    upright = vectorize([sine_line()], [LeadSpan("aVR", 0, 0.0, 1000.0, 0.0, 5.0, False)], scale_of, 500.0)
    inverted = vectorize([sine_line()], [LeadSpan("aVR", 0, 0.0, 1000.0, 0.0, 5.0, False, True)], scale_of, 500.0)
    np.testing.assert_allclose(inverted[3], -upright[3])


def test_lost_ink_is_nan_and_a_crack_is_bridged() -> None:
    line = sine_line()
    line[300:400, 1] = np.nan
    line[600:605, 1] = np.nan
    signal = vectorize([line], [LeadSpan("I", 0, 0.0, 1000.0, 0.0, 5.0, False)], scale_of, 500.0)[0]
    lost = np.isnan(signal)
    assert lost[752:995].all()
    assert not lost[1000:2490].any()


def test_the_longer_stretch_of_a_lead_is_kept() -> None:
    spans = [
        LeadSpan("II", 0, 0.0, 250.0, 0.0, 1.25, False),
        LeadSpan("II", 1, 0.0, 1000.0, 0.0, 5.0, True),
    ]
    flat = np.stack([np.arange(1000.0), np.full(1000, 50.0)], axis=1)
    signal = vectorize([flat, sine_line()], spans, scale_of, 500.0)
    assert np.nanmax(signal[1][:600]) == pytest.approx(1.0, abs=0.01)


def test_a_strip_whose_name_is_a_guess_takes_no_other_stretch_s_place() -> None:
    short = LeadSpan("V6", 0, 0.0, 400.0, 0.0, 2.0, False)
    strip = LeadSpan("V6", 1, 0.0, 1000.0, 0.0, 5.0, True, guessed=True)
    flat = np.stack([np.arange(1000.0), np.full(1000, 300.0)], axis=1)
    signal = vectorize([sine_line(), flat], [short, strip], lambda _: 80.0, 500.0)[LEADS.index("V6")]
    assert np.ptp(signal[:990]) > 1.9
    assert np.isnan(signal[1010:]).all()
    alone = vectorize([flat, sine_line()], [strip], lambda _: 80.0, 500.0)[LEADS.index("V6")]
    assert np.isfinite(alone[:2490]).all()
