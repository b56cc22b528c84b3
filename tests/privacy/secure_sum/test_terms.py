"""Terms and limits: what they bind, and what is refused with a reason."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import pytest
from secure_sum_world import limits_for_tests, make_world

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.privacy.secure_sum.context import Member, SumContext, min_threshold
from ecg_flare.privacy.secure_sum.limits import check_site_limits

TERMS = make_world(4).terms
STRANGER = Member("site-009", bytes([9] * 32))
CHANGES: dict[str, Any] = {
    "job": "another",
    "round": 1,
    "attempt": 1,
    "roster": (*TERMS.roster[:3], STRANGER),
    "threshold": 4,
    "ring_bits": 64,
    "dimension": 5,
    "scale": 2,
    "clipping_norm": 0.5,
    "weights": (1.0, 1.0, 1.0, 2.0),
    "dp": "sigma=1",
    "layout_digest": bytes(32),
    "model_sha256": bytes(32),
    "test_mode": False,
}


def test_every_field_changes_the_context() -> None:
    assert set(CHANGES) == {field.name for field in fields(SumContext)}
    digests = {replace(TERMS, **{name: value}).digest for name, value in CHANGES.items()}
    assert len(digests | {TERMS.digest}) == len(CHANGES) + 1


def test_fields_do_not_run_into_each_other() -> None:
    one = replace(TERMS, job="a", dp="bc").digest
    assert one != replace(TERMS, job="ab", dp="c").digest


@pytest.mark.parametrize(("n", "least"), [(3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (9, 7), (10, 7), (30, 21), (50, 34)])
def test_least_threshold(n: int, least: int) -> None:
    assert min_threshold(n) == least
    assert 3 * least > 2 * n


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"threshold": 5}, "threshold of 1 to n"),
        ({"threshold": 0}, "threshold of 1 to n"),
        ({"round": -1}, "non-negative"),
        ({"ring_bits": 24}, "expected 8, 16, 32, 64 bits"),
        ({"dimension": 0}, "dimension 0"),
        ({"dimension": 1 << 40}, "ChaCha20 stream"),
        ({"scale": 0}, "positive and finite"),
        ({"clipping_norm": float("nan")}, "positive and finite"),
        ({"layout_digest": b"short"}, "32 bytes of SHA-256"),
        ({"weights": (1.0, 1.0)}, "for 4 sites"),
        ({"weights": (1.0, 1.0, 1.0, 0.0)}, "finite positive"),
        ({"weights": None, "dp": "sigma=1"}, "change the sensitivity"),
        ({"roster": TERMS.roster[::-1]}, "not sorted"),
        ({"roster": (*TERMS.roster[:3], Member("site-009", TERMS.roster[0].fingerprint))}, "under two names"),
        ({"roster": (*TERMS.roster[:3], Member("site-009", b"short"))}, "not 32 bytes"),
    ],
)
def test_contradictory_terms_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        replace(TERMS, **changes)


def test_client_indices_follow_the_roster() -> None:
    assert [TERMS.index_of(member.name) for member in TERMS.roster] == [1, 2, 3, 4]
    with pytest.raises(ConfigError, match="not in the roster"):
        TERMS.index_of("nobody")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"min_cohort": 2}, "at least 3"),
        ({"min_threshold": 2}, "at least 3"),
        ({"min_threshold_fraction": Fraction(1, 2)}, r"out of \[2/3, 1\)"),
        ({"allow_test_mode": False}, "no certificate fingerprints are pinned"),
        ({"weights": {"site-001": 0.0}}, "not positive"),
        ({"weights": {}}, "hold none"),
        ({"weights": {"site-001": 1.0}, "hidden_weights": True}, "one of the two"),
    ],
)
def test_unsafe_limits_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        limits_for_tests(**changes)


PINS = {member.name: member.fingerprint for member in TERMS.roster}


@pytest.mark.parametrize(
    ("limits", "terms", "match"),
    [
        ({"min_cohort": 5}, {}, "takes part from 5"),
        ({"min_threshold": 4}, {}, "demands at least 4"),
        ({"min_threshold_fraction": Fraction(9, 10)}, {}, "demands at least 4"),
        ({"allow_test_mode": False, "pinned": PINS}, {}, "test mode"),
        ({"pinned": {**PINS, "site-002": bytes(32)}}, {}, r"\['site-002'\]"),
        ({"pinned": {}}, {}, "pinned"),
        ({}, {"test_mode": False}, "pinned"),
        ({"layout_digest": bytes(32)}, {}, "layout"),
        ({"expected_model_sha256": bytes(32)}, {}, "starts from model"),
        ({"max_clipping_norm": 0.5}, {}, "clips to 1.0"),
        ({}, {"weights": (1.0, 1.0, 1.0, 2.0)}, "equal weights"),
        ({"weights": dict.fromkeys(PINS, 2.0)}, {}, "expects"),
        ({"weights": {"site-001": 1.0}}, {}, "expects"),
        ({"hidden_weights": False}, {"weights": None}, "hides its weights"),
        ({"dp": "sigma=2"}, {"dp": "sigma=1"}, "promised 'sigma=2'"),
        ({"dp": "sigma=2"}, {"dp": ""}, "promised 'sigma=2'"),
    ],
)
def test_each_limit_holds(limits: dict[str, Any], terms: dict[str, Any], match: str) -> None:
    with pytest.raises(SecureSumError, match=match):
        check_site_limits(replace(TERMS, **terms), limits_for_tests(**limits))


@pytest.mark.parametrize(
    ("limits", "terms"),
    [
        ({}, {}),
        ({"pinned": PINS, "allow_test_mode": False}, {"test_mode": False}),
        ({"expected_model_sha256": None}, {"model_sha256": bytes(32)}),
        ({"weights": dict.fromkeys(PINS, 0.25)}, {"weights": (0.25,) * 4}),
        ({"hidden_weights": True}, {"weights": None}),
        ({"min_threshold": 4}, {"threshold": 4}),
        ({"dp": "sigma=2"}, {"dp": "sigma=2"}),
    ],
)
def test_terms_within_the_limits_pass(limits: dict[str, Any], terms: dict[str, Any]) -> None:
    check_site_limits(replace(TERMS, **terms), limits_for_tests(**limits))
