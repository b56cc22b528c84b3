"""A shorter update: d coordinates folded into p by a random matrix that everybody makes from one public seed.

Each coordinate i has a bucket h(i) and a sign s(i), as in a count sketch (Charikar, Chen & Farach-Colton 2002) and in
feature hashing (Weinberger et al. 2009, arXiv 0902.2206):

    (P x)_b = sum over h(i) = b of s(i) * x_i        (P^T y)_i = s(i) * y_h(i)

Over the seeds ``E |P x|^2 = |x|^2`` and ``E P^T P = I``. P has one entry a column, so that it costs d additions and no
memory. A sum is folded by each site and unfolded by the server; clipping and noise happen on the p coordinates, so that
nothing is said of sensitivity that depends on P. The seed is the same in all rounds of a job: training then moves in p
fixed directions. Server optimizers that work coordinate by coordinate, and alike on x and -x, give the same model
whether they step before P^T or after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.privacy.gaussian import ChaChaStream

_CHUNK = 1 << 20


@dataclass(frozen=True)
class RandomProjection:
    """The matrix P of a public seed; `size` is p.

    >>> projection = RandomProjection(size=2, seed=0)
    >>> folded = projection.project(np.float32([1.0, 0.0, 0.0]))
    >>> abs(folded).sum(), projection.transpose(folded.astype(np.float64), 3)[0]
    (np.float32(1.0), np.float64(1.0))

    Raises ConfigError for an impossible value.
    """

    size: int
    seed: int

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.seed < 2**64:
            raise ConfigError(
                f"projection: size is {self.size} and seed {self.seed}, expected 1 or more and a seed from 0 to 2^64"
            )

    def project(self, vector: Float32[np.ndarray, " d"]) -> Float32[np.ndarray, " p"]:
        """P x, added up in float64.

        A value that float32 cannot hold is infinite, and what is not finite in x is not finite in P x: whoever clips
        has to look.
        """
        folded = np.zeros(self.size)
        with np.errstate(over="ignore", invalid="ignore"):
            for part, bucket, sign in self._columns(vector.size):
                folded += np.bincount(bucket, weights=vector[part] * sign, minlength=self.size)
            short: Float32[np.ndarray, " p"] = folded.astype(np.float32)
        return short

    def transpose(self, vector: Float64[np.ndarray, " p"], dimension: int) -> Float64[np.ndarray, " d"]:
        """P^T y, of length `dimension`; raises UpdateError for a vector of another length than p."""
        if vector.shape != (self.size,):
            raise UpdateError(f"the projected vector has shape {vector.shape}, expected ({self.size},)")
        whole: Float64[np.ndarray, " d"] = np.empty(dimension)
        for part, bucket, sign in self._columns(dimension):
            np.multiply(vector[bucket], sign, out=whole[part])
        return whole

    def _columns(
        self, dimension: int
    ) -> Iterator[tuple[slice, Int64[np.ndarray, " chunk"], Float64[np.ndarray, " chunk"]]]:
        """Bucket and sign of each coordinate, a chunk at a time; the keystream is the same at every party."""
        stream = ChaChaStream(hashlib.sha256(f"ecg_flare projection {self.seed}".encode()).digest())
        for start in range(0, dimension, _CHUNK):
            part = slice(start, min(start + _CHUNK, dimension))
            words = stream.words(part.stop - part.start)
            bucket = ((words >> np.uint64(1)) % np.uint64(self.size)).astype(np.int64)
            yield part, bucket, 1.0 - 2.0 * (words & np.uint64(1))
