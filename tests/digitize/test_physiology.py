"""Identities between leads, in decibels known beforehand."""

import numpy as np
import pytest
from rasters import noise

from ecg_flare.digitize.leads.physiology import correlation, limb_consistency_db, repeat_db
from ecg_flare.ecg.leads import LIMB_LEADS, limb_leads


def test_noise_outside_the_plane_is_told_to_the_decibel() -> None:
    """Six leads of power 1 each with independent noise of power 0.01: of it, four parts in six lie outside the plane.

    The reference is the leads' own power by the same share, so that their ratio is that of signal to noise.
    """
    rng = np.random.default_rng(0)
    leads = np.stack(limb_leads(*rng.normal(size=(2, 200_000))))
    leads = leads / np.sqrt((leads**2).mean())
    noisy = leads + rng.normal(scale=0.1, size=leads.shape)
    found = limb_consistency_db(dict(zip(LIMB_LEADS, noisy, strict=True)))
    assert found == pytest.approx(20.0, abs=0.2)


def test_leads_of_no_heart_are_at_no_decibel() -> None:
    found = limb_consistency_db(dict(zip(LIMB_LEADS, np.random.default_rng(1).normal(size=(6, 100_000)), strict=True)))
    assert found == pytest.approx(0.0, abs=0.1)


def test_a_repetition_is_as_good_as_its_noise_is_small() -> None:
    rng = np.random.default_rng(2)
    short = rng.normal(size=100_000)
    assert repeat_db(short + rng.normal(scale=0.1, size=100_000), short) == pytest.approx(20.0, abs=0.1)
    assert repeat_db(short[:49], short[:49]) is None


def test_correlation_needs_common_samples_and_a_change() -> None:
    first = noise(1, 400)[0]
    assert correlation(first, -first) == pytest.approx(-1.0)
    assert correlation(first, np.full(400, 3.0)) == 0.0
    assert correlation(first, np.where(np.arange(400) < 49, first, np.nan)) == 0.0


def two_leads(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    random_walks = np.cumsum(rng.normal(size=(2, 400)), axis=1)
    return random_walks[0], random_walks[1]


def test_limb_leads_lie_in_one_plane_whatever_three_are_given() -> None:
    limb = dict(zip(LIMB_LEADS, limb_leads(*two_leads(np.random.default_rng(0))), strict=True))
    for names in (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("aVL", "I", "aVR"), ("II", "aVF", "III")):
        assert limb_consistency_db({name: limb[name] for name in names}) == pytest.approx(40.0)
    swapped = {"I": limb["II"], "II": limb["I"], "III": limb["III"]}
    consistency = limb_consistency_db(swapped)
    assert consistency is not None
    assert consistency < 10.0
    assert limb_consistency_db({"I": limb["I"], "II": limb["II"]}) is None


def test_a_repeat_is_told_from_a_likeness() -> None:
    first, second = two_leads(np.random.default_rng(1))
    noise = np.random.default_rng(2).normal(size=400)
    exact, alike = repeat_db(first + 3.0, first), repeat_db(second, first)
    assert exact == pytest.approx(40.0)
    assert alike is not None
    assert alike < 10.0
    assert correlation(first, 2 * first + 1) == pytest.approx(1.0)
    assert abs(correlation(first, noise)) < 0.3
