"""A long vector in parts that fit a processor's cache, so that no second one is made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Real

CHUNK: Final = 1 << 17
"""Values of a part."""


def chunks(size: int) -> Iterator[slice]:
    """The parts of a vector of that length, in order."""
    return (slice(start, min(start + CHUNK, size)) for start in range(0, size, CHUNK))


def squared_norm(vector: Real[np.ndarray, " d"]) -> float:
    """Sum of squares in float64, with a relative error below 2^-45 for any length that fits memory.

    Squares of float32 values are exact in float64, numpy adds a chunk pairwise, and the chunks are added exactly.
    """
    return math.fsum(
        float(np.square(vector[part], dtype=np.float64).sum(dtype=np.float64)) for part in chunks(vector.size)
    )
