"""Shamir's secret sharing of 32-byte secrets over one prime field.

Shamir 1979, "How to share a secret". The field is the integers modulo p = 2^256 + 297, the smallest prime above 2^256:
a 32-byte secret is one element, and t - 1 shares fit every secret equally. Combining does not authenticate: wrong
shares give a wrong secret, so `combine` takes the check that only the right one passes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache

from ecg_flare.errors import SecureSumError

PRIME = (1 << 256) + 297
SECRET_BYTES = 32
SHARE_BYTES = 33


def split(secret: bytes | bytearray, threshold: int, count: int) -> dict[int, bytes]:
    """Share a 32-byte secret: indices 1..count get a 33-byte share each, any `threshold` of which give it back."""
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= count:
        raise SecureSumError(
            f"cannot share {len(secret)} bytes {threshold}-of-{count}: expected {SECRET_BYTES} bytes and a threshold "
            "of 1 to the number of shares"
        )
    polynomial = [int.from_bytes(secret, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {index: _evaluate(polynomial, index).to_bytes(SHARE_BYTES, "big") for index in range(1, count + 1)}


def combine(shares: Mapping[int, bytes], threshold: int, is_secret: Callable[[bytes], bool]) -> bytes:
    """The 32-byte secret that `threshold` of the shares give and that `is_secret` confirms.

    With more shares than the threshold a corrupt one is survived: as many runs of neighbouring shares are tried as
    there are shares. Raises `SecureSumError` when no run gives a confirmed secret.
    """
    indices = sorted(shares)
    if len(indices) < threshold:
        raise SecureSumError(
            f"{len(indices)} shares (indices {indices}) arrived, expected at least {threshold}: abort the round"
        )
    runs = range(1 if len(indices) == threshold else len(indices))
    for start in runs:
        run = tuple(indices[(start + step) % len(indices)] for step in range(threshold))
        points = [int.from_bytes(shares[index], "big") for index in run]
        value = sum(weight * y for weight, y in zip(_weights_at_zero(run), points, strict=True)) % PRIME
        if value < 1 << (8 * SECRET_BYTES):
            candidate = value.to_bytes(SECRET_BYTES, "big")
            if is_secret(candidate):
                return candidate
    raise SecureSumError(
        f"the shares of clients {indices} give no secret that matches its commitment: a share is corrupt; "
        "abort the round"
    )


def _evaluate(polynomial: list[int], at: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = (value * at + coefficient) % PRIME
    return value


@lru_cache(maxsize=256)
def _weights_at_zero(indices: tuple[int, ...]) -> tuple[int, ...]:
    """Lagrange's weights at 0; they depend on the indices alone, which are public."""
    weights = []
    for index in indices:
        above, below = 1, 1
        for other in indices:
            if other != index:
                above = above * other % PRIME
                below = below * (other - index) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return tuple(weights)
