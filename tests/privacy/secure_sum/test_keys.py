"""Round keys: RFC 7748's exchange, RFC 5869's derivation, and sealed_shares for one reader, round and direction."""

from __future__ import annotations

import hashlib
import hmac
import itertools

import pytest

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.secure_sum import keys

# RFC 7748, section 6.1.
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
SHARED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
CTX, OTHER = bytes(32), bytes([1] * 32)


def test_public_key_matches_rfc_7748() -> None:
    assert keys.public_key(BOB) == BOB_PUBLIC


def test_pair_mask_key_is_hkdf_of_the_shared_secret() -> None:
    info = b"ecg_flare secure sum 1: mask:" + CTX + bytes([0, 2, 0, 5])
    extracted = hmac.new(bytes(32), SHARED, hashlib.sha256).digest()
    expected = hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()
    assert keys.pair_mask_key(BOB, ALICE_PUBLIC, CTX, 5, 2) == expected


def test_pair_mask_key_is_the_same_from_both_ends() -> None:
    a, b = keys.fresh_secret(), keys.fresh_secret()
    ends = {keys.pair_mask_key(a, keys.public_key(b), CTX, 1, 2), keys.pair_mask_key(b, keys.public_key(a), CTX, 2, 1)}
    assert len(ends) == 1


def test_derived_keys_never_serve_twice() -> None:
    """Another round, pair, purpose or index gives another key."""
    derived = [
        keys.pair_mask_key(BOB, ALICE_PUBLIC, ctx, one, other)
        for ctx in (CTX, OTHER)
        for one, other in itertools.combinations(range(1, 5), 2)
    ]
    derived += [keys.self_mask_key(SHARED, ctx, index) for ctx in (CTX, OTHER) for index in (1, 2)]
    derived += [keys.commitment(SHARED, ctx, index) for ctx in (CTX, OTHER) for index in (1, 2)]
    assert len(set(derived)) == len(derived)


def test_fresh_secrets_are_256_bits_and_differ() -> None:
    drawn = {bytes(keys.fresh_secret()) for _ in range(1000)}
    assert len(drawn) == 1000
    assert {len(secret) for secret in drawn} == {32}
    # Each of 256 bits is set in 500 of 1000 draws, give or take seven standard deviations of 16.
    totals = [sum(secret[bit // 8] >> bit % 8 & 1 for secret in drawn) for bit in range(256)]
    assert 385 < min(totals) <= max(totals) < 615


def test_wipe_overwrites() -> None:
    secret = keys.fresh_secret()
    keys.wipe(secret)
    assert secret == bytearray(32)


def test_a_sealed_share_is_for_its_recipient_alone() -> None:
    sender, reader, stranger = keys.fresh_secret(), keys.fresh_secret(), keys.fresh_secret()
    public = keys.public_key(sender)
    sealed = keys.seal(sender, keys.public_key(reader), CTX, 1, 2, b"shares")
    assert keys.unseal(reader, public, CTX, 1, 2, sealed) == b"shares"
    attempts = {
        "another reader": (stranger, public, CTX, 1, 2, sealed),
        "another sender": (reader, keys.public_key(stranger), CTX, 1, 2, sealed),
        "another round": (reader, public, OTHER, 1, 2, sealed),
        "turned around": (reader, public, CTX, 2, 1, sealed),
        "another index": (reader, public, CTX, 1, 3, sealed),
        "altered": (reader, public, CTX, 1, 2, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        "cut": (reader, public, CTX, 1, 2, sealed[:-1]),
    }
    assert not any(unseals(*attempt) for attempt in attempts.values()), [h for h, a in attempts.items() if unseals(*a)]


def unseals(private: bytes, public: bytes, ctx: bytes, sender: int, recipient: int, sealed: bytes) -> bool:
    try:
        keys.unseal(private, public, ctx, sender, recipient, sealed)
    except SecureSumError:
        return False
    return True


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), bytes(31)])
def test_points_of_low_order_are_refused(public: bytes) -> None:
    with pytest.raises(SecureSumError, match="no shared secret"):
        keys.pair_mask_key(BOB, public, CTX, 1, 2)
