"""Fixed-point encoding of clipped updates, so that a sum of them is a sum of integers.

Masks cancel, ciphertexts add and noise hides without surprise only on integers. A clipped vector x with
``||x||_2 <= C`` and public weight w becomes ``trunc(w * x * S / C)``, and the sum over all vectors, noise
included, must stay inside the ring Z_2^bits. The scale S follows from public bounds alone; it is never a setting.

No wrap
-------
Let n be the number of sites, k the most vectors that a site may add, W the largest public weight.

1. ``|trunc(w * x_j * S / C)| <= W * S`` for each coordinate, since ``|x_j| <= ||x||_2 <= C`` and ``w <= W``.
2. A sum of at most ``n * k`` such vectors stays within ``B = floor(n * k * W * S)`` (the sum is an integer).
3. The noise has the integer standard deviation ``s = ceil(sigma * W * S)``, and its sampler is cut at
   ``NOISE_TAIL * s`` (gaussian.py bounds what the cut costs), so it never exceeds ``NOISE_TAIL * s``.
4. S is chosen with ``B + NOISE_TAIL * s < 2^(bits - 1)``: the centred representative of the ring is the integer
   itself. This holds always, not with high probability.

Truncating toward zero shrinks every coordinate, so the L2 sensitivity of the integer sum to one vector is at most
``W * S``, the figure that the noise is measured against.

Words of 8 or 16 bits, which a job may ask for, have another encoding with the same promises: `narrow` says which. There
the coordinate of a vector is at most `limit` and not W * S, and the noise has no part in the ring, since the server
draws it onto the sum that it recovered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64, Integer, UInt

from ecg_flare.errors import ConfigError, EncodingError
from ecg_flare.privacy.secure_sum.chunks import CHUNK, chunks, squared_norm
from ecg_flare.privacy.secure_sum.narrow import LEAST_ROOM, NARROW_BITS, STEEP, room, round_within, turn, turn_back

NOISE_TAIL = 10
"""The noise never exceeds this many of its standard deviations."""

_LARGEST_WEIGHTED_SCALE = 2**24  # float32 carries 24 bits: a finer grid would encode nothing
_LARGEST_TRUNCATION = 2.0**-8  # of a vector's norm that truncation may take before the wider ring is used
_CLIP_SLACK = 2.0**-20  # a vector clipped in float32 may pass C by a few units in the last place
_GUARD = 2.0**-40  # above the rounding error of `squared_norm`, below anything that the grid resolves
_NOISE_EXCESS = 7.5  # above sqrt(2 ln 2^40)
_OF_FLOAT32 = (1e-30, 1e30)  # clipping norms whose scaled vectors float32 holds

Ring = UInt[np.ndarray, " d"]


@dataclass(frozen=True)
class NarrowWords:
    """Words of 8 or 16 bits for a sum, and the public seed by which its vectors are turned.

    Raises ConfigError for another width.
    """

    bits: int
    seed: bytes

    def __post_init__(self) -> None:
        if self.bits not in NARROW_BITS:
            raise ConfigError(f"ring_bits is {self.bits}, expected {' or '.join(map(str, NARROW_BITS))}, or none")


@dataclass(frozen=True)
class FixedPoint:
    """The public numbers by which every site and the server encode and decode one round.

    Use :meth:`derive`; the fields scale, ring_bits and limit follow from the others. Under unit patient each of a
    site's vectors is drawn with chance `sampling_rate`: no bound of the encoding depends on it, but how long an honest
    sum is. `limit` is the largest coordinate of an encoded vector in narrow words, whose vectors are turned by `seed`;
    0 in wide ones.
    """

    clipping_norm: float
    weights: tuple[float, ...]
    vectors_per_site: int
    noise_multiplier: float
    dimension: int
    scale: float
    ring_bits: int
    sampling_rate: float = 1.0
    limit: int = 0
    seed: bytes = b""

    @classmethod
    def derive(
        cls,
        *,
        clipping_norm: float,
        weights: Sequence[float],
        dimension: int,
        vectors_per_site: int = 1,
        noise_multiplier: float = 0.0,
        sampling_rate: float = 1.0,
    ) -> FixedPoint:
        """Choose the largest power of two S that cannot wrap, in 32 bits where these keep enough precision.

        `weights` are the roster's, one a site; `vectors_per_site` is 1 under unit site and the bound on a site's
        patients under unit patient; `dimension` is the length of an update.
        The narrow ring suffices while truncation takes at most 2^-8 of the norm of a vector with the largest weight,
        ``sqrt(d) / (W * S) <= 2^-8``.

        Raises ConfigError for an impossible bound and EncodingError where even 64 bits are too few.
        """
        _check_bounds(clipping_norm, weights, vectors_per_site, noise_multiplier, dimension)
        n_vectors, heaviest = len(weights) * vectors_per_site, max(weights)
        for ring_bits in (32, 64):
            scale = _largest_scale(ring_bits, n_vectors, heaviest, noise_multiplier)
            if scale and math.sqrt(dimension) / (heaviest * scale) <= _LARGEST_TRUNCATION:
                return cls(
                    clipping_norm=float(clipping_norm),
                    weights=tuple(float(weight) for weight in weights),
                    vectors_per_site=vectors_per_site,
                    noise_multiplier=float(noise_multiplier),
                    dimension=dimension,
                    scale=scale,
                    ring_bits=ring_bits,
                    sampling_rate=sampling_rate,
                )
        raise EncodingError(
            f"no scale keeps the sum of {n_vectors} vectors of length {dimension} with weights "
            f"up to {heaviest} and noise multiplier {noise_multiplier} exact within 64 bits; "
            "weigh the sites by smaller numbers, or allow fewer vectors a site"
        )

    def in_narrow_words(self, words: NarrowWords) -> FixedPoint:
        """The same for words of 8 or 16 bits: how far a coordinate may reach so that no sum wraps, and the scale of it.

        Raises EncodingError where the words are too narrow for so many vectors, or for a weight beside the others.
        """
        if not _OF_FLOAT32[0] <= self.clipping_norm <= _OF_FLOAT32[1]:
            raise EncodingError(
                f"clipping_norm is {self.clipping_norm}, expected {_OF_FLOAT32[0]:g} to {_OF_FLOAT32[1]:g} in words of "
                f"{words.bits} bits, whose vectors are turned in float32"
            )
        n_vectors = len(self.weights) * self.vectors_per_site
        limit = (2 ** (words.bits - 1) - 1) // n_vectors
        heaviest, lightest = max(self.weights), min(self.weights)
        # A coordinate of a vector of two or three is never larger than the vector.
        scale = limit * max(1.0, math.sqrt(self.dimension) / STEEP[words.bits]) / heaviest
        left = room(lightest * scale, self.dimension) / (lightest * scale) if limit else 0.0
        if left < LEAST_ROOM:
            weighs = f", of which one weighs {lightest:g} and another {heaviest:g}," if lightest < heaviest else ""
            raise EncodingError(
                f"words of {words.bits} bits let each of {n_vectors} vectors of length {self.dimension}{weighs} reach "
                f"from {-limit} to {limit}: rounded to that, their clipped norm would not hold; take wider words "
                "(ring_bits), or fewer vectors a site"
            )
        return replace(self, scale=scale, ring_bits=words.bits, limit=limit, seed=words.seed)

    @property
    def sensitivity(self) -> float:
        """Largest L2 norm of one encoded vector, ``W * S``, in integer units."""
        return max(self.weights) * self.scale

    @property
    def noise_sd(self) -> int:
        """Standard deviation of the noise in integer units, ``ceil(sigma * W * S)``: never less than promised."""
        return _noise_sd(self.noise_multiplier, max(self.weights), self.scale)

    @property
    def sum_bound(self) -> int:
        """Largest absolute coordinate of a sum without noise."""
        return self._reach(len(self.weights) * self.vectors_per_site)

    @property
    def contribution_bound(self) -> int:
        """Largest absolute coordinate of what one site may send."""
        return self._reach(self.vectors_per_site)

    @property
    def ring_dtype(self) -> np.dtype[Any]:
        """numpy's unsigned type of the ring, whose overflow is the ring's addition."""
        return np.dtype(f"u{self.ring_bits // 8}")

    def encode(self, vector: Float[np.ndarray, " d"], weight: float) -> Int32[np.ndarray, " d"]:
        """Turn one clipped vector into integers, ``trunc(weight * vector * S / C)``, or into those of narrow words.

        Each coordinate is at most one unit nearer to zero than the exact product, and the integer norm is at most
        ``weight * S``, so that int32 holds it. A norm within 2^-20 above C, which rounding to float32 explains, is
        scaled back to C. In narrow words the vector is turned first, and a coordinate is rounded to either side.

        Raises EncodingError for a vector of the wrong length, not finite or not clipped, and for a weight that is
        above the public ones.
        """
        self._check_vector(vector, weight)
        norm = math.sqrt(squared_norm(vector))
        if not norm <= self.clipping_norm * (1 + _CLIP_SLACK):
            raise EncodingError(
                f"the vector's norm is {norm}, above the clipping norm {self.clipping_norm}: clip it before encoding"
            )
        if self.limit:
            turned = turn(vector, self.seed) * np.float32(weight * self.scale / self.clipping_norm)
            return round_within(turned, self.limit, Fraction(weight) * Fraction(self.scale))
        factor = weight * self.scale / self.clipping_norm
        if norm > self.clipping_norm * (1 - _GUARD):
            factor = weight * self.scale / norm * (1 - _GUARD)
        encoded = np.empty(self.dimension, dtype=np.int32)
        scaled = np.empty(min(self.dimension, CHUNK))
        squared = 0
        for part in chunks(self.dimension):
            whole = np.multiply(vector[part], factor, out=scaled[: part.stop - part.start], dtype=np.float64)
            encoded[part] = np.trunc(whole, out=whole)
            # Exact: the squares are integers whose sum is at most (W * S)^2 * (1 + 2^-19), and W * S <= 2^24.
            squared += int(np.dot(whole, whole))
        if squared > (Fraction(weight) * self.scale) ** 2:
            raise EncodingError(
                f"the encoded vector's squared norm is {squared}, above the bound {(weight * self.scale) ** 2}"
            )
        return encoded

    def decode(self, total: Int64[np.ndarray, " d"], denominator: float) -> Float64[np.ndarray, " d"]:
        """Turn an integer sum into the mean update, ``total * C / (S * denominator)``.

        Raises EncodingError for a sum of the wrong type or length or a denominator that is not positive.
        """
        self._check_integers(total)
        if not (math.isfinite(denominator) and denominator > 0):
            raise EncodingError(f"the denominator is {denominator}, expected a positive public number")
        mean: Float64[np.ndarray, " d"] = self.in_order(total) * (self.clipping_norm / (self.scale * denominator))
        return mean

    def in_order(self, total: Int64[np.ndarray, " d"]) -> Float64[np.ndarray, " d"]:
        """A sum by the values of an update, in integer units: what was turned is turned back."""
        return turn_back(total.astype(np.float64), self.seed) if self.limit else total.astype(np.float64)

    def to_ring(self, values: Integer[np.ndarray, " d"]) -> Ring:
        """Map signed integers (int32 or int64) to the ring, negatives to its upper half.

        Raises EncodingError where a value has no centred representative, ``|value| >= 2^(bits - 1)``.
        """
        if values.dtype != np.int32:
            self._check_integers(values)
        elif values.shape != (self.dimension,):
            raise EncodingError(f"got {values.shape} integers, expected {self.dimension}")
        half = 2 ** (self.ring_bits - 1)
        if values.size and (int(values.max()) >= half or int(values.min()) <= -half):
            raise EncodingError(
                f"values reach from {values.min()} to {values.max()}, outside the ring of {self.ring_bits} bits"
            )
        return values.astype(self.ring_dtype)

    def from_ring(self, values: Ring) -> Int64[np.ndarray, " d"]:
        """Map ring elements to their centred representatives in [-2^(bits-1), 2^(bits-1)).

        Raises EncodingError for an array that is not of the ring's type and length.
        """
        if values.dtype != self.ring_dtype or values.shape != (self.dimension,):
            raise EncodingError(
                f"got {values.dtype} values of shape {values.shape}, expected {self.dimension} of "
                f"{np.dtype(self.ring_dtype)}"
            )
        return values.view(f"i{self.ring_bits // 8}").astype(np.int64)

    def check_sum(self, total: Int64[np.ndarray, " d"], *, noised: bool = False) -> None:
        """Raise EncodingError where a sum passes the bound behind the scale; `noised`: with the round's noise on it."""
        self._check_integers(total)
        bound = self.sum_bound + (NOISE_TAIL * self.noise_sd if noised else 0)
        _check_reach(total, bound, "the sum", len(self.weights) * self.vectors_per_site)

    def check_total_norm(self, total: Int64[np.ndarray, " d"], weight: float, *, noised: bool = False) -> None:
        """Raise EncodingError where a sum is longer than vectors of this total weight can make it.

        Each encoded vector has a norm of at most its weight times S, so by the triangle inequality their sum is no
        longer than ``weight * S``, and no coordinate of it larger. `noised`: with the round's noise on it, which
        passes ``s (sqrt(d) + 7.5) + sqrt(d) / 2`` with chance 2^-40 (Gaussian concentration; the last term is the
        rounding).
        """
        norm = math.sqrt(squared_norm(total))
        bound = weight * self.scale * (1 + _GUARD)
        if noised:
            bound += self.noise_sd * (math.sqrt(self.dimension) + _NOISE_EXCESS) + math.sqrt(self.dimension) / 2
        if norm > bound:
            raise EncodingError(
                f"the sum's norm is {norm:.0f}, above the bound {bound:.0f} of vectors that weigh {weight:g} together: "
                "drop it"
            )

    def check_contribution(self, contribution: Integer[np.ndarray, " d"]) -> None:
        """Raise EncodingError where what one site sent passes what one site may send."""
        _check_reach(contribution, self.contribution_bound, "a site's contribution", self.vectors_per_site)

    def _reach(self, n_vectors: int) -> int:
        if self.limit:
            return n_vectors * self.limit
        return _sum_bound(n_vectors, max(self.weights), self.scale)

    def _check_vector(self, vector: Float[np.ndarray, " d"], weight: float) -> None:
        if vector.shape != (self.dimension,) or vector.dtype not in (np.float32, np.float64):
            raise EncodingError(
                f"got a vector of {vector.dtype} and shape {vector.shape}, expected {self.dimension} floats"
            )
        if not np.isfinite(vector).all():
            raise EncodingError("the vector holds NaN or infinity, expected finite values: drop this update")
        if not 0 < weight <= max(self.weights):
            raise EncodingError(f"weight {weight} is outside (0, {max(self.weights)}], the public weights of the round")

    def _check_integers(self, values: Int64[np.ndarray, " d"]) -> None:
        if values.dtype != np.int64 or values.shape != (self.dimension,):
            raise EncodingError(
                f"got {values.dtype} values of shape {values.shape}, expected {self.dimension} of int64"
            )


def _check_reach(values: Integer[np.ndarray, " d"], bound: int, what: str, n_vectors: int) -> None:
    largest = max(int(values.max()), -int(values.min()))
    if largest > bound:
        raise EncodingError(
            f"a coordinate of {what} is {largest}, above the bound {bound} of {n_vectors} vectors: do not use it"
        )


def _check_bounds(
    clipping_norm: float, weights: Sequence[float], vectors_per_site: int, noise_multiplier: float, dimension: int
) -> None:
    if not (math.isfinite(clipping_norm) and clipping_norm > 0):
        raise ConfigError(f"clipping_norm is {clipping_norm}, expected a positive number")
    if not weights or not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise ConfigError(f"weights are {list(weights)}, expected a positive number for each site")
    if vectors_per_site < 1:
        raise ConfigError(f"vectors_per_site is {vectors_per_site}, expected 1 or more")
    if not (math.isfinite(noise_multiplier) and noise_multiplier >= 0):
        raise ConfigError(f"noise_multiplier is {noise_multiplier}, expected 0 or more")
    if dimension < 1:
        raise ConfigError(f"dimension is {dimension}, expected an update of at least one value")


def _noise_sd(noise_multiplier: float, max_weight: float, scale: float) -> int:
    return math.ceil(Fraction(noise_multiplier) * Fraction(max_weight) * Fraction(scale))


def _sum_bound(n_vectors: int, max_weight: float, scale: float) -> int:
    return math.floor(n_vectors * Fraction(max_weight) * Fraction(scale))


def _largest_scale(ring_bits: int, n_vectors: int, max_weight: float, noise_multiplier: float) -> int:
    """Largest power of two that neither wraps nor passes 2^24 units for the largest weight; 0 where there is none."""
    exponent = math.floor(math.log2(_LARGEST_WEIGHTED_SCALE / max_weight)) + 1
    for scale in (1 << power for power in range(exponent, -1, -1)):
        reach = _sum_bound(n_vectors, max_weight, scale) + NOISE_TAIL * _noise_sd(noise_multiplier, max_weight, scale)
        if Fraction(max_weight) * scale <= _LARGEST_WEIGHTED_SCALE and reach < 2 ** (ring_bits - 1):
            return scale
    return 0
