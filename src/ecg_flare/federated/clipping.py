"""Clipping an update to a ball, so that no single one can move the sum by more than is accounted for.

McMahan et al. 2018, "Learning Differentially Private Recurrent Language Models", flat clipping:
``clip(x, C) = x * min(1, C / ||x||_2)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.privacy.secure_sum.chunks import squared_norm


@dataclass(frozen=True, eq=False)
class Clipped:
    """A clipped vector, what its norm was, and by which factor it was multiplied (1 where it was short enough)."""

    vector: Float32[np.ndarray, " d"]
    norm_before: float
    factor: float


def clip(vector: Float32[np.ndarray, " d"], clipping_norm: float) -> Clipped:
    """Scale the vector to an L2 norm of at most `clipping_norm`, rounding to float32 included.

    The norm is taken in float64. A vector within the ball, the zero vector too, comes back unchanged; clipping twice
    is clipping once.

    Raises ConfigError for a clipping norm that is not positive and UpdateError for a vector that is not finite.
    """
    if not (math.isfinite(clipping_norm) and clipping_norm > 0):
        raise ConfigError(f"clipping_norm is {clipping_norm}, expected a positive number")
    norm = math.sqrt(squared_norm(vector))
    if not math.isfinite(norm):
        raise UpdateError(f"the update's norm is {norm}, expected finite values: local training diverged")
    if norm <= clipping_norm:
        return Clipped(vector, norm, 1.0)
    factor, shrink = clipping_norm / norm, 2.0**-24
    scaled = _scale(vector, factor)
    while math.sqrt(squared_norm(scaled)) > clipping_norm:  # rounding to float32 may end a few units above C
        factor, shrink = factor * (1 - shrink), min(2 * shrink, 1.0)
        scaled = _scale(vector, factor)
    return Clipped(scaled, norm, factor)


def _scale(vector: Float32[np.ndarray, " d"], factor: float) -> Float32[np.ndarray, " d"]:
    scaled: Float32[np.ndarray, " d"] = np.empty_like(vector, dtype=np.float32)
    # numpy goes through float64 in small pieces here, where a whole product in float64 would be two vectors more
    np.multiply(vector, factor, out=scaled, dtype=np.float64, casting="same_kind")
    return scaled
