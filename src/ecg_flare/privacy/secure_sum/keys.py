"""Keys of one round: X25519 pairs, what is derived from them, and the sealing of shares for a peer.

X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), ChaCha20-Poly1305 (RFC 8439). Each derived key is bound to its purpose, to
the round's ctx and to the indices it is between, so that no key ever serves twice.
"""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ecg_flare.errors import SecureSumError

KEY_BYTES = 32
_TAG = b"ecg_flare secure sum 1: "
# A key seals one message only, so the nonce carries nothing.
_NONCE = bytes(12)


def fresh_secret() -> bytearray:
    """32 bytes from the operating system's generator: a private key or a self-mask seed.

    A bytearray, so that `wipe` can overwrite it.
    """
    return bytearray(secrets.token_bytes(KEY_BYTES))


def wipe(secret: bytearray) -> None:
    """Overwrite a secret with zeros; copies that libraries made of it are out of reach."""
    secret[:] = bytes(len(secret))


def public_key(private: bytes | bytearray) -> bytes:
    """X25519 public key (32 bytes) of a private one."""
    return X25519PrivateKey.from_private_bytes(bytes(private)).public_key().public_bytes_raw()


def pair_mask_key(private: bytes | bytearray, public: bytes, ctx: bytes, one: int, other: int) -> bytes:
    """Key of the mask that clients `one` and `other` share: HKDF(DH, "mask", ctx, min, max), alike at both ends."""
    return _derive(_exchange(private, public), b"mask", ctx, min(one, other), max(one, other))


def self_mask_key(seed: bytes | bytearray, ctx: bytes, index: int) -> bytes:
    """Key of a client's own mask, PRG(b_u), from the 32-byte seed b_u."""
    return _derive(bytes(seed), b"self", ctx, index, index)


def commitment(seed: bytes | bytearray, ctx: bytes, index: int) -> bytes:
    """H(b_u): binds a client to its 32-byte random seed without telling it."""
    return hashlib.sha256(_TAG + _info(b"commit", ctx, index, index) + bytes(seed)).digest()


def seal(
    private: bytes | bytearray, public: bytes, ctx: bytes, sender: int, recipient: int, shares: bytes | bytearray
) -> bytes:
    """Encrypt shares from index `sender` to index `recipient`; 16 bytes longer than the plaintext."""
    key = _derive(_exchange(private, public), b"share", ctx, sender, recipient)
    return ChaCha20Poly1305(key).encrypt(_NONCE, bytes(shares), _info(b"share", ctx, sender, recipient))


def unseal(private: bytes | bytearray, public: bytes, ctx: bytes, sender: int, recipient: int, sealed: bytes) -> bytes:
    """Unseal what `seal` gave; `SecureSumError` when it was altered, moved or belongs to another round."""
    key = _derive(_exchange(private, public), b"share", ctx, sender, recipient)
    try:
        return ChaCha20Poly1305(key).decrypt(_NONCE, sealed, _info(b"share", ctx, sender, recipient))
    except InvalidTag as error:
        raise SecureSumError(
            f"the sealed shares from client {sender} to client {recipient} do not authenticate, expected them sealed "
            "for this round: leave the round and ask who altered it"
        ) from error


def _exchange(private: bytes | bytearray, public: bytes) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(bytes(private)).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise SecureSumError(
            f"public key {public.hex()[:16]}… gives no shared secret, expected a point of full order: drop its sender"
        ) from error


def _derive(secret: bytes, purpose: bytes, ctx: bytes, first: int, second: int) -> bytes:
    hkdf = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=_TAG + _info(purpose, ctx, first, second))
    return hkdf.derive(secret)


def _info(purpose: bytes, ctx: bytes, first: int, second: int) -> bytes:
    return purpose + b":" + ctx + first.to_bytes(2, "big") + second.to_bytes(2, "big")
