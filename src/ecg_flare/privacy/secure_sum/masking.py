"""Masks: ChaCha20 streams from full 256-bit keys, added into the vector where it lies.

y_u = x_u + PRG(b_u) + sum_v sign(u, v) PRG(k_uv) mod 2^bits, Bonawitz et al. 2017, section 4. The stream is
ChaCha20 of RFC 8439 with counter 0 and a zero nonce (each key makes one stream), read as little-endian words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms

from ecg_flare.errors import EncodingError, SecureSumError
from ecg_flare.privacy.secure_sum.encoding import Ring

# Small enough that vector and stream stay in the processor's second-level cache while all masks pass over them.
CHUNK_BYTES = 1 << 17
_COUNTER_AND_NONCE = bytes(16)
_ZEROS = bytes(CHUNK_BYTES)


@dataclass(frozen=True)
class Mask:
    """A 32-byte stream key and the sign (+1 or -1) with which its stream is added."""

    key: bytes
    sign: int


def pair_sign(index: int, peer: int) -> int:
    """+1 for the lower index of a pair, -1 for the higher one: the two masks cancel in the sum."""
    return 1 if index < peer else -1


def with_hidden_weight(vector: Ring, weight: int, max_weight: int) -> Ring:
    """Append a site's weight (1..max_weight) as one more coordinate, so that only the sum of weights is recovered.

    `vector` holds the integers already multiplied by weight / max_weight; the sum divides by the recovered total
    (`split_hidden_weight`). Raises `EncodingError` for a weight outside its public bound.
    """
    if not 1 <= weight <= max_weight:
        raise EncodingError(f"weight {weight} is outside 1 to {max_weight}: correct it, or publish a higher bound")
    extended: Ring = np.append(vector, np.array([weight], dtype=vector.dtype))
    return extended


def split_hidden_weight(total: Ring) -> tuple[Ring, int]:
    """A recovered sum without its last coordinate, and the sum of the sites' weights that this held."""
    return total[:-1], int(total[-1])


def add_masks(vector: Ring, masks: Sequence[Mask]) -> None:
    """Add every mask's stream to `vector` in place, in chunks: no second vector is made.

    Raises `SecureSumError` when a key is not 32 bytes or comes twice, which would cancel or repeat a mask.
    """
    check_distinct([mask.key for mask in masks])
    streams = [(_stream(mask.key), mask.sign) for mask in masks]
    # OpenSSL's wrapper wants room for one block more than it writes.
    buffer = bytearray(CHUNK_BYTES + 63)
    words = np.frombuffer(buffer, dtype=vector.dtype, count=CHUNK_BYTES // vector.dtype.itemsize)
    for start in range(0, vector.size, words.size):
        part = vector[start : start + words.size]
        zeros = _ZEROS[: part.nbytes] if part.nbytes < CHUNK_BYTES else _ZEROS
        for stream, sign in streams:
            stream.update_into(zeros, buffer)
            if sign > 0:
                np.add(part, words[: part.size], out=part)
            else:
                np.subtract(part, words[: part.size], out=part)


def check_distinct(keys: Sequence[bytes]) -> None:
    """Refuse stream keys that repeat or are not 256 bits long."""
    if any(len(key) != 32 for key in keys) or len(set(keys)) != len(keys):
        raise SecureSumError(
            f"{len(keys)} mask keys of {sorted({len(key) for key in keys})} bytes, {len(set(keys))} of them distinct: "
            "expected distinct keys of 32 bytes; abort the round"
        )


def _stream(key: bytes) -> CipherContext:
    return Cipher(algorithms.ChaCha20(key, _COUNTER_AND_NONCE), mode=None).encryptor()
