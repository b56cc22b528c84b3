"""Decibels added up by hand, and what they are worth."""

from types import MappingProxyType

import numpy as np
import pytest

from ecg_flare.digitize.confidence import (
    CONFIDENT,
    EXPECTED_DB_AT_HALF,
    EXPECTED_DB_SPREAD,
    FAULTY,
    LEAST,
    MOST,
    NOISE_FLOOR,
    NOISE_WEIGHTS,
    UNCHECKED,
)
from ecg_flare.digitize.leads.cut_tips import CutTip
from ecg_flare.digitize.leads.limb_noise import LimbNoise
from ecg_flare.digitize.leads.signal_evidence import SOURCES, SignalEvidence
from ecg_flare.digitize.signal_confidence import SignalConfidence, probability_of_good, signal_confidence

LIMB = LimbNoise(("I", "II", "III"), 1250, 0.001, 0.2, 3.0, 0.001, 0.001)
CLEAN = MappingProxyType(dict.fromkeys(SOURCES, 0.0))


def shares(**noise: float) -> SignalConfidence:
    return SignalConfidence(MappingProxyType({**CLEAN, **noise}))


def test_every_source_of_noise_has_a_weight() -> None:
    assert set(NOISE_WEIGHTS) == set(SOURCES)
    assert min(NOISE_WEIGHTS.values()) > 0


def test_expected_decibels_are_those_of_the_weighted_noise() -> None:
    evidence = SignalEvidence({**CLEAN, "columns": 0.004, "lost": 0.02}, energy=1.0, limb=(LIMB,))
    total = 0.004 * NOISE_WEIGHTS["columns"] + 0.02 * NOISE_WEIGHTS["lost"] + NOISE_FLOOR
    assert signal_confidence(evidence).expected_db == pytest.approx(-10 * np.log10(total))
    assert shares().expected_db == pytest.approx(-10 * np.log10(NOISE_FLOOR))


def test_fast_noise_counts_more_where_no_limb_leads_check_the_signal() -> None:
    noise = {**CLEAN, "columns": 0.0045}
    checked, alone = (signal_confidence(SignalEvidence(noise, 1.0, limb=limb)) for limb in ((LIMB,), ()))
    assert alone.shares["columns"] == pytest.approx(UNCHECKED * checked.shares["columns"])
    assert alone.value < CONFIDENT < checked.value


def test_half_of_the_pages_at_the_middle_are_good_and_odds_change_e_fold() -> None:
    assert probability_of_good(EXPECTED_DB_AT_HALF) == pytest.approx(0.5)
    assert probability_of_good(EXPECTED_DB_AT_HALF + EXPECTED_DB_SPREAD) == pytest.approx(np.e / (1 + np.e))
    assert (probability_of_good(-20.0), probability_of_good(60.0)) == (LEAST, MOST)


def test_a_reading_that_shows_no_noise_is_sure_and_one_of_10_db_is_not() -> None:
    assert shares().value == MOST
    assert shares(limb_leads=0.1).value < 0.5


def test_pulses_and_flat_peaks_in_many_leads_are_faults_whatever_the_decibels() -> None:
    tips = tuple(CutTip(lead, 1.0, 0.9) for lead in ("V1", "V2", "V3"))
    assert signal_confidence(SignalEvidence(CLEAN, 1.0, boxes=("V2",))).value == FAULTY < CONFIDENT
    assert signal_confidence(SignalEvidence(CLEAN, 1.0, spiked=("V1", "V2", "V3"))).value == FAULTY
    assert signal_confidence(SignalEvidence(CLEAN, 1.0, cut=tips)).value == FAULTY
    assert signal_confidence(SignalEvidence(CLEAN, 1.0, cut=tips[:2])).value == MOST


def test_only_noise_that_is_not_the_paper_s_own_may_be_read_better() -> None:
    assert not shares(columns=0.2, shared_ink=0.2).may_be_read_better
    assert shares(limb_leads=0.2).may_be_read_better
    assert shares(unread_ink=0.2).may_be_read_better
    assert not shares(unread_ink=0.2, shared_ink=0.001).may_be_read_better
    assert shares(columns=0.2, shared_ink=0.01).causes == ("columns",)


def test_decibels_that_are_no_number_are_not_sure() -> None:
    assert probability_of_good(float("nan")) == LEAST
