"""Shamir's sharing against its definition."""

from __future__ import annotations

import itertools
import secrets

import pytest
from Crypto.Util.number import isPrime
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.secure_sum import shares


def test_field_is_the_smallest_prime_above_the_secrets() -> None:
    assert isPrime(shares.PRIME)
    assert not any(isPrime(candidate) for candidate in range((1 << 256) + 1, shares.PRIME, 2))


@given(secret=st.binary(min_size=32, max_size=32), count=st.integers(1, 7), data=st.data())
def test_any_threshold_of_shares_gives_the_secret(secret: bytes, count: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(1, count))
    split = shares.split(secret, threshold, count)
    assert list(split) == list(range(1, count + 1))
    assert {len(share) for share in split.values()} == {shares.SHARE_BYTES}
    for indices in itertools.combinations(split, threshold):
        assert shares.combine({index: split[index] for index in indices}, threshold, lambda c: c == secret) == secret


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32])
def test_extreme_secrets_are_shared(secret: bytes) -> None:
    assert shares.combine(shares.split(secret, 3, 5), 3, lambda c: c == secret) == secret


def test_fewer_shares_fit_every_secret() -> None:
    """With t - 1 shares each candidate secret has exactly one polynomial through them: nothing is told."""
    split = shares.split(secrets.token_bytes(32), 3, 3)
    for candidate in (bytes(32), b"\x01" * 32, secrets.token_bytes(32)):
        # Place the candidate at 0 and two shares at 1 and 2; the third share then follows by the quadratic's rule
        # f(3) = f(0) - 3 f(1) + 3 f(2), and combining confirms the candidate.
        f0, f1, f2 = (int.from_bytes(value, "big") for value in (candidate, split[1], split[2]))
        third = ((f0 - 3 * f1 + 3 * f2) % shares.PRIME).to_bytes(shares.SHARE_BYTES, "big")
        assert shares.combine({1: split[1], 2: split[2], 3: third}, 3, lambda c, want=candidate: c == want) == candidate


def test_shares_are_fresh_each_time() -> None:
    secret = secrets.token_bytes(32)
    assert shares.split(secret, 2, 3) != shares.split(secret, 2, 3)


@pytest.mark.parametrize("corrupt", [1, 3, 6])
def test_a_corrupt_share_is_survived_when_more_than_the_threshold_came(corrupt: int) -> None:
    secret = secrets.token_bytes(32)
    split = shares.split(secret, 4, 6)
    split[corrupt] = secrets.token_bytes(33)
    assert shares.combine(split, 4, lambda c: c == secret) == secret


def test_a_corrupt_share_at_the_threshold_is_refused() -> None:
    secret = secrets.token_bytes(32)
    split = shares.split(secret, 3, 3)
    split[2] = split[1]
    with pytest.raises(SecureSumError, match="corrupt"):
        shares.combine(split, 3, lambda c: c == secret)


def test_too_few_shares_are_refused() -> None:
    split = shares.split(bytes(32), 3, 4)
    with pytest.raises(SecureSumError, match="expected at least 3"):
        shares.combine({1: split[1], 4: split[4]}, 3, lambda _: True)


@pytest.mark.parametrize(("secret", "threshold", "count"), [(bytes(31), 2, 3), (bytes(32), 4, 3), (bytes(32), 0, 3)])
def test_impossible_sharing_is_refused(secret: bytes, threshold: int, count: int) -> None:
    with pytest.raises(SecureSumError, match="cannot share"):
        shares.split(secret, threshold, count)
