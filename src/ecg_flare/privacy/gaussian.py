"""The Gaussian mechanism on an integer sum: round(sigma * W * S * N(0, 1)), drawn from a cryptographic stream.

Why integers. Noise in floating point, added to a sum in floating point, shows in its low bits what the sum was
(Mironov 2012, "On Significance of the Least Significant Bits for Differential Privacy"). Here the sum q is an
integer, so ``q + round(Z) = round(q + Z)``: rounding is a step after the real Gaussian mechanism, and everything that
is proven about that mechanism, sampling and tight accounting included, holds without a correction for the grid.

Why this sampler. Box-Muller or an inverse distribution function in float64 leave gaps in the tails. After Karney 2016
("Sampling exactly from the normal distribution", ACM TOMS 42:1, algorithm N), |Z| = s * (k + x) is drawn by
rejection: k >= 0 with probability proportional to exp(-k^2 / 2), x uniform in [0, 1), kept with probability
exp(-x * (2k + x) / 2). With x = (j + u) / s, j a uniform integer below the standard deviation s and u a uniform
fraction, the rounded value k * s + j + [u >= 1/2] is computed in integers. A float64 decides whether a candidate is
kept only where it can; within its error of the threshold the decision is made again in 50 decimal digits.

How exact. k comes from a 64-bit table and stops at NOISE_TAIL - 1, u has 62 bits and thresholds have 64. Together,
and after rejection, this moves a coordinate by less than 2^-58 in total variation from the true rounded Gaussian, so
33 million coordinates by less than 2^-33 = 1.2e-10. That much is to be added to a round's delta, where it vanishes
beside the 1e-5 or so in use. A coordinate of the noise never exceeds NOISE_TAIL standard deviations.
"""

from __future__ import annotations

import os
from decimal import Decimal, localcontext
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from jaxtyping import Bool, Float64, Int64, UInt64

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.secure_sum.encoding import NOISE_TAIL, FixedPoint

_CHUNK = 1 << 14  # candidates at a time: their arrays stay in the cache
_DOUBT = 2.0**-44  # above the float64 error of a probability of acceptance
_DIGITS = 50
_LOW_62 = np.uint64((1 << 62) - 1)

Words = UInt64[np.ndarray, " n"]


class Stream(Protocol):
    """A source of uniform 64-bit words that nobody can predict."""

    def words(self, n: int) -> Words:
        """The next n words."""


class ChaChaStream:
    """Keystream of ChaCha20 under a 256-bit key, without an argument a fresh one from the operating system.

    A key is handed in only by tests; no setting of a job reaches it.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._encryptor = Cipher(ChaCha20(os.urandom(32) if key is None else key, bytes(16)), mode=None).encryptor()

    def words(self, n: int) -> Words:
        """The next n words of the keystream, little-endian."""
        return np.frombuffer(self._encryptor.update(bytes(8 * n)), dtype="<u8")


def add_noise(
    total: Int64[np.ndarray, " d"], fixed: FixedPoint, *, stream: Stream | None = None
) -> Int64[np.ndarray, " d"]:
    """Add the round's Gaussian noise to the integer sum of encoded updates, once.

    The standard deviation is `fixed.noise_sd` = ceil(sigma * W * S). `stream` is for tests; without it the noise comes
    from a fresh key that is forgotten afterwards.

    Raises EncodingError where the sum passes the bound that the scale was derived from: such a round is not released.
    """
    fixed.check_sum(total)
    noised: Int64[np.ndarray, " d"] = total + gaussian_noise(total.size, fixed.noise_sd, stream or ChaChaStream())
    return noised


def gaussian_noise(size: int, standard_deviation: int, stream: Stream) -> Int64[np.ndarray, " d"]:
    """Independent rounded Gaussians, ``round(standard_deviation * N(0, 1))``, zero for a deviation of 0.

    Raises ConfigError for a deviation that is negative, or so large that int64 could not hold the tail.
    """
    if not 0 <= standard_deviation <= (2**63 - 1) // NOISE_TAIL:
        raise ConfigError(f"the noise's standard deviation is {standard_deviation}, expected 0 to 2^63 / {NOISE_TAIL}")
    noise = np.zeros(size, dtype=np.int64)
    filled = 0 if standard_deviation else size
    while filled < size:
        kept = _candidates(min(_CHUNK, 2 * (size - filled) + 16), standard_deviation, stream)[: size - filled]
        noise[filled : filled + kept.size] = kept
        filled += kept.size
    return noise


def _whole_table() -> Words:
    """64-bit thresholds: a word at or above threshold i has k > i, P(k) proportional to exp(-k^2 / 2)."""
    with localcontext() as context:
        context.prec = _DIGITS
        masses = [(Decimal(-k * k) / 2).exp() for k in range(NOISE_TAIL)]
        below = [sum(masses[: k + 1]) / sum(masses) for k in range(NOISE_TAIL - 1)]
        return np.array([int(share * 2**64) for share in below], dtype=np.uint64)


_WHOLE_TABLE = _whole_table()


def _candidates(n: int, s: int, stream: Stream) -> Int64[np.ndarray, " kept"]:
    """Draw n candidates and return those that are kept, about 71 of 100."""
    whole_word, cell_word, fraction_word, threshold = stream.words(4 * n).reshape(4, n)
    k = np.zeros(n, dtype=np.int64)
    for boundary in _WHOLE_TABLE:
        k += whole_word >= boundary
    j = cell_word % np.uint64(s)
    fraction = fraction_word & _LOW_62
    kept = _accept(k, j, fraction, threshold, s)
    kept &= cell_word < np.uint64(2**64 - 1 - (2**64 - 1) % s)  # whole multiples of s only: j is exactly uniform
    negative = fraction_word >> np.uint64(63)
    magnitude = k * s + j.astype(np.int64) + (fraction >> np.uint64(61)).astype(np.int64)
    signed: Int64[np.ndarray, " kept"] = np.where(negative == 1, -magnitude, magnitude)[kept]
    return signed


def _accept(k: Int64[np.ndarray, " n"], j: Words, fraction: Words, threshold: Words, s: int) -> Bool[np.ndarray, " n"]:
    """Whether threshold / 2^64 < exp(-x * (2k + x) / 2), with x = (j + fraction / 2^62) / s."""
    x: Float64[np.ndarray, " n"] = (j + fraction * 2.0**-62) / s
    distance = threshold * 2.0**-64 - np.exp(-x * (2 * k + x) / 2)
    accepted: Bool[np.ndarray, " n"] = distance < 0
    for i in np.flatnonzero(np.abs(distance) < _DOUBT):
        accepted[i] = _accept_exactly(int(k[i]), int(j[i]), int(fraction[i]), int(threshold[i]), s)
    return accepted


def _accept_exactly(k: int, j: int, fraction: int, threshold: int, s: int) -> bool:
    with localcontext() as context:
        context.prec = _DIGITS
        x = (j + Decimal(fraction) / 2**62) / s
        return Decimal(threshold) / 2**64 < (-x * (2 * k + x) / 2).exp()
