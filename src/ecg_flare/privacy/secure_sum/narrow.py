"""Narrow words: how an update is turned, cut and rounded so that 8 or 16 bits a coordinate hold a sum.

In fixed point a coordinate of a vector of norm C may be C. A ring that holds n such coordinates gives the others, which
are sqrt(d) times smaller, no bits to speak of. So the vector is turned first until no coordinate stands out:

    y = DCT(signs * x)        an orthonormal transform, with random signs from a public seed

(the randomized transform of Ailon & Chazelle 2006, used for quantizing updates by Suresh et al. 2017, arXiv 1611.00429,
and under secure sums by Kairouz et al. 2021, arXiv 2102.06387; a cosine transform needs no padding to a power of two).
A coordinate of y is a sum of d independent terms, none longer than sqrt(2 / d) |x_i|, so that it passes
``t * |x| / sqrt(d)`` with a chance of at most ``2 exp(-t^2 / 4)``, and of about that of a Gaussian where x is spread
out. Every party knows signs and transform; the server turns the sum back. Norms stay as they are, and so does
sensitivity.

Cut. Each coordinate is cut at the public bound `limit`, so that n * k vectors cannot wrap, always and not by chance:
``n * k * limit < 2^(bits - 1)``. The scale follows: `limit` stands for STEEP times the size of a mean coordinate.

Round. A value between two integers becomes one of them at random, by its distance, so that the mean is right; rounding
to the nearest would lose what is small in every update alike. That can make the vector longer. So its norm is kept at
``room(w * S)`` at most before, and it is rounded again until it is no longer than w * S (conditional rounding, Kairouz
et al. 2021). The integers' norm is then at most w * S for whatever draw, and the sensitivity is what it is in a wide
ring. Shortening and cutting take little: at most a tenth of a vector of norm C, where the words are just wide enough.
The draw follows from the vector: the same update gives the same integers, however often it is asked for, and two sites
of one and the same update make the same error.
"""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from jaxtyping import Float, Float32, Float64, Int32

from ecg_flare.errors import EncodingError
from ecg_flare.privacy.secure_sum.chunks import chunks, squared_norm

STEEP: Final = MappingProxyType({8: 4.5, 16: 6.0})
"""Bits -> `limit` over the root mean square of the coordinates of a vector of norm C. Of a million coordinates 7 are
larger, and in 16 bits, whose steps are fine enough to spare some, 2 of a thousand million."""

NARROW_BITS: Final = tuple(STEEP)
"""Widths that a job may ask for; without them the encoding takes 32 or 64 bits."""

LEAST_ROOM: Final = 0.9
"""Of a vector's norm that must be left where its rounding has to fit the bound."""

_ROUNDINGS: Final = 64


def room(bound: float, dimension: int) -> float:
    """The norm up to which a vector may be rounded at random and, more often than not, is no longer than `bound`.

    Rounding adds at most d / 4 to the expected squared norm, and ``|y| + sqrt(d) / 2`` more with a chance below 0.61
    (Kairouz et al. 2021, for beta = exp(-1/2)). 0 where nothing fits.

    >>> round(room(100.0, 4096), 1), room(10.0, 4096)
    (94.1, 0.0)
    """
    within = bound**2 - dimension / 4 - math.sqrt(dimension) / 2 + 0.25
    return max(0.0, math.sqrt(within) - 0.5) if within > 0 else 0.0


def turn(vector: Float[np.ndarray, " d"], seed: bytes) -> Float32[np.ndarray, " d"]:
    """The vector with random signs under an orthonormal cosine transform."""
    from scipy.fft import dct

    turned: Float32[np.ndarray, " d"] = dct(vector.astype(np.float32) * _signs(seed, vector.size), norm="ortho")
    return turned


def turn_back(vector: Float64[np.ndarray, " d"], seed: bytes) -> Float64[np.ndarray, " d"]:
    """The inverse of `turn`; uses the array up."""
    from scipy.fft import idct

    back: Float64[np.ndarray, " d"] = idct(vector, norm="ortho", overwrite_x=True)
    back *= _signs(seed, vector.size)
    return back


def round_within(vector: Float32[np.ndarray, " d"], limit: int, bound: Fraction) -> Int32[np.ndarray, " d"]:
    """Round at random to integers of at most `limit`, whose norm is at most `bound`.

    A vector longer than `room` is shortened to it first. The last resort, after many draws, is rounding toward zero.

    Raises EncodingError for a vector that is not finite, and where even the last resort is too long.
    """
    norm, longest = math.sqrt(squared_norm(vector)), room(float(bound), vector.size)
    if not math.isfinite(norm):
        raise EncodingError("the turned vector holds NaN or infinity, expected finite values: drop this update")
    shorter = np.nextafter(np.float32(min(1.0, longest / norm)), np.float32(0)) if norm else np.float32(1)
    scaled = np.clip(vector * shorter, -limit, limit)
    digest = hashlib.sha256(scaled.data).digest()
    longest_squared = math.floor(bound**2)
    for draw in range(_ROUNDINGS):
        rounded = _rounded(scaled, digest, draw)
        if squared_norm(rounded) <= longest_squared:
            return rounded
    shortest: Int32[np.ndarray, " d"] = np.trunc(scaled).astype(np.int32)
    squared = squared_norm(shortest)
    if squared > longest_squared:
        raise EncodingError(f"the encoded vector's squared norm is {squared}, above the bound {longest_squared}")
    return shortest


def _rounded(vector: Float32[np.ndarray, " d"], digest: bytes, draw: int) -> Int32[np.ndarray, " d"]:
    rounded: Int32[np.ndarray, " d"] = np.empty(vector.size, np.int32)
    stream = _keystream(digest + draw.to_bytes(2, "big"))
    for part in chunks(vector.size):
        below = np.floor(vector[part])
        words = np.frombuffer(stream.update(bytes(4 * below.size)), "<u4")
        rounded[part] = below + (words * 2.0**-32 < vector[part].astype(np.float64) - below)
    return rounded


def _signs(seed: bytes, size: int) -> Float32[np.ndarray, " d"]:
    bits = np.unpackbits(np.frombuffer(_keystream(seed).update(bytes(-(-size // 8))), np.uint8), count=size)
    signs: Float32[np.ndarray, " d"] = np.float32(1) - np.float32(2) * bits
    return signs


def _keystream(seed: bytes) -> CipherContext:
    key = hashlib.sha256(b"ecg_flare narrow words" + seed).digest()
    return Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
