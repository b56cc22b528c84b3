"""Checks without the truth: residuals by hand, strips beside short leads."""

import numpy as np
import pytest
from rasters import noise, raster

from ecg_flare.digitize.leads.checks import ConsistencyChecks, check_consistency
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.leads import limb_leads
from ecg_flare.ecg.record import Recording

FLAT = raster(np.zeros((1, 1000)))


def recording(limb: np.ndarray) -> Recording:
    signal = np.full((12, limb.shape[1]), np.nan, np.float32)
    signal[:6] = limb
    return Recording(signal, 500.0)


def limb() -> np.ndarray:
    return np.stack(limb_leads(*noise(2, 400)))


def test_limb_leads_of_one_heart_leave_nothing() -> None:
    checks = check_consistency(recording(limb()), FLAT, (), 100.0)
    assert checks.einthoven == pytest.approx(0.0, abs=1e-6)
    assert checks.goldberger == pytest.approx(0.0, abs=1e-6)
    assert checks.passed


def test_a_lead_that_is_upside_down_leaves_twice_itself() -> None:
    """III turned over: I + (-III) - II = -2 III, beside the root of the mean power of the three."""
    leads = limb()
    centred = leads[:3] - np.median(leads[:3], axis=1, keepdims=True)
    expected = np.sqrt(4 * (centred[2] ** 2).mean() / (centred**2).mean())
    leads[2] *= -1
    checks = check_consistency(recording(leads), FLAT, (), 100.0)
    assert checks.einthoven == pytest.approx(expected, rel=1e-4)
    assert checks.goldberger == pytest.approx(0.0, abs=1e-6)
    assert checks.passed is False
    assert f"I + III - II leaves {checks.einthoven:.0%}" in checks.summary


def test_leads_that_were_not_printed_together_cannot_be_checked() -> None:
    leads = limb()
    leads[0, 20:] = np.nan
    leads[3, 20:] = np.nan
    checks = check_consistency(recording(leads), FLAT, (), 100.0)
    assert (checks.einthoven, checks.goldberger, checks.rhythm_correlation) == (None, None, None)
    assert checks.passed is None
    assert ConsistencyChecks(None, None, None).passed is None


def test_a_strip_is_held_against_the_short_lead_of_its_name_and_time() -> None:
    y_mm = noise(2, 1000, seed=5)
    y_mm[1] = 3.0 * y_mm[0] + 1.0
    strip = LeadSpan("II", 1, 0.0, 1000.0, 0.0, 4.0, True)
    same_time = LeadSpan("II", 0, 500.0, 1000.0, 2.0, 4.0, False)
    begins_anew = LeadSpan("II", 0, 500.0, 1000.0, 0.0, 2.0, False)
    blank = recording(np.full((6, 400), np.nan))
    assert check_consistency(blank, raster(y_mm), (strip, same_time), 100.0).rhythm_correlation == pytest.approx(1.0)
    assert check_consistency(blank, raster(y_mm), (strip, begins_anew), 100.0).rhythm_correlation is None
    assert ConsistencyChecks(None, None, 0.96).passed is False
    assert ConsistencyChecks(0.30, 0.30, 0.97).passed


def test_noise_of_15_db_in_each_lead_is_the_most_that_passes() -> None:
    """Independent noise of s in three leads leaves sqrt(3) s: 0.308 of leads that it leaves 15 dB."""
    leads = limb()
    rms = np.sqrt(((leads[:3] - np.median(leads[:3], axis=1, keepdims=True)) ** 2).mean())
    rng = np.random.default_rng(4)
    for decibels, passes in ((16.0, True), (14.0, False)):
        noisy = leads + rng.normal(0.0, rms * 10 ** (-decibels / 20), leads.shape)
        checks = check_consistency(recording(noisy), FLAT, (), 100.0)
        assert checks.einthoven == pytest.approx(np.sqrt(3) * 10 ** (-decibels / 20), rel=0.08)
        assert checks.allowed_einthoven == pytest.approx(0.308, abs=1e-3)
        assert (checks.einthoven <= checks.allowed_einthoven) == passes


def test_leads_of_a_few_pixels_may_leave_what_a_pixel_of_noise_does() -> None:
    leads = limb()
    rms_px = np.sqrt(((leads[:3] - np.median(leads[:3], axis=1, keepdims=True)) ** 2).mean()) * 0.5
    checks = check_consistency(recording(leads), FLAT, (), 0.5)
    assert checks.allowed_einthoven == pytest.approx(max(0.308, min(1.0, np.sqrt(3) / rms_px)), abs=1e-3)
