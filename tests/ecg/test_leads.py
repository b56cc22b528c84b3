"""Lead names and the limb-lead identities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.ecg.leads import (
    CABRERA,
    CABRERA_INVERTED,
    LEADS,
    einthoven_residual_mv,
    goldberger_residual_mv,
    limb_leads,
    normalize_lead_name,
    with_extra,
)


@pytest.mark.parametrize(
    ("written", "standard"),
    [
        ("AVR", "aVR"),
        ("avr", "aVR"),
        (" aVL ", "aVL"),
        ("DI", "I"),
        ("DII", "II"),
        ("D3", "III"),
        ("L2", "II"),
        ("MLII", "II"),
        ("ECG lead II", "II"),
        ("ecg_v5", "V5"),
        ("Lead I", "I"),
        ("v 3", "V3"),
        ("C6", "V6"),
        ("RESP", None),
        ("vx", None),
        ("V7", "V7"),
        ("c9", "V9"),
        ("v4r", "V4R"),
        ("C3R", "V3R"),
        ("V2R", None),
        ("V10", None),
        ("V1V2", None),
        ("", None),
    ],
)
def test_lead_names_are_normalized(written: str, standard: str | None) -> None:
    assert normalize_lead_name(written) == standard


def test_standard_names_stay() -> None:
    assert [normalize_lead_name(lead) for lead in LEADS] == list(LEADS)


def test_cabrera_order_goes_round_the_frontal_plane() -> None:
    angle_deg = {"aVL": -30, "I": 0, "aVR": 210, "II": 60, "aVF": 90, "III": 120}
    angles = [angle_deg[lead] - 180 if lead in CABRERA_INVERTED else angle_deg[lead] for lead in CABRERA[:6]]
    assert angles == [-30, 0, 30, 60, 90, 120]
    assert sorted(CABRERA) == sorted(LEADS)


def test_limb_leads_follow_from_the_potentials_of_three_electrodes() -> None:
    right_arm, left_arm, left_leg = np.random.default_rng(0).normal(size=(3, 50))
    expected = [
        left_arm - right_arm,
        left_leg - right_arm,
        left_leg - left_arm,
        right_arm - (left_arm + left_leg) / 2,
        left_arm - (right_arm + left_leg) / 2,
        left_leg - (right_arm + left_arm) / 2,
    ]
    np.testing.assert_allclose(limb_leads(expected[0], expected[1]), expected, atol=1e-14)


@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=1, max_size=20))
def test_derived_limb_leads_satisfy_both_identities(pairs: list[tuple[float, float]]) -> None:
    lead_i, lead_ii = np.array(pairs).T
    limb = limb_leads(lead_i, lead_ii)
    assert np.abs(einthoven_residual_mv(limb)).max() <= 1e-14 * 60
    assert np.abs(goldberger_residual_mv(limb)).max() <= 1e-14 * 60


def test_a_missing_lead_leaves_the_identity_open() -> None:
    limb = np.ones((6, 2), dtype=np.float32)
    limb[1, 0] = np.nan
    assert np.isnan(einthoven_residual_mv(limb)).tolist() == [True, False]
    assert goldberger_residual_mv(limb).tolist() == [3.0, 3.0]


def test_extra_leads_follow_the_twelve_in_one_order() -> None:
    assert with_extra(["V9", "II", "V3R", "V9"]) == (*LEADS, "V3R", "V9")
    assert with_extra(["V1"]) == LEADS
