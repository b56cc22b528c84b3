"""The geometric median by the smoothed Weiszfeld algorithm.

Pillutla, K., Kakade, S. M., & Harchaoui, Z. (2022). Robust Aggregation for Federated Learning. IEEE Transactions on
Signal Processing, 70, 1142-1154. arXiv 1912.13445. Algorithm 2, the smoothed Weiszfeld algorithm:

    b_k = w_k / max(nu, |z - u_k|),    z <- sum_k b_k u_k / sum_k b_k
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ecg_flare.errors import ConfigError
from ecg_flare.federated.robust.median import weighted_median
from ecg_flare.federated.robust.rule import (
    Point,
    Updates,
    Weights,
    check_arrays,
    check_count,
    check_majority,
    column_chunks,
)


@dataclass(frozen=True)
class GeometricMedian:
    """The point z with the smallest weighted sum of distances to the updates, sum_k w_k |z - u_k|.

    Weights: each distance counts with the site's public weight; a site of weight 2 counts like two of weight 1.

    Where honest updates lie within a radius R of a point and Byzantine ones have a share a < 1/2 of the weight, z is
    within 2 (1 - a) / (1 - 2 a) R of that point, by the triangle inequality.

    The first z is the weighted median of each coordinate, which is near the honest updates already; the paper starts at
    the mean, which one long update takes far away. Each step lowers the smoothed objective, so what `max_iterations`
    steps give is taken even where it still moves.

    smoothing: nu, the distance (in units of the update) below which updates count as equally far.
    tolerance: the iteration ends once z moves by at most this share of the (weighted) median distance to the updates.
    max_iterations: at most so many steps.
    """

    smoothing: float = 1e-6
    tolerance: float = 1e-6
    max_iterations: int = 100

    def __post_init__(self) -> None:
        for name in ("smoothing", "tolerance"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"GeometricMedian's {name} is {value}, expected a positive number")
        check_count(self, "max_iterations", self.max_iterations)

    def check(self, n: int) -> None:
        """Raise ConfigError for fewer than 3 sites."""
        check_majority(self, n)

    def combine(self, updates: Updates, weights: Weights) -> Point:
        """The geometric median, float64 of shape (d,); raises ConfigError and UpdateError as `RobustRule` says."""
        check_arrays(updates, weights)
        self.check(len(updates))
        shares = weights / weights.sum()
        point = weighted_median(updates, weights)
        for _ in range(self.max_iterations):
            distances = np.maximum(_distances(updates, point), self.smoothing)
            moved = _step(updates, point, shares / distances)
            point += moved
            # A Byzantine update a long way off would make a mean distance long, and the iteration end too early.
            if np.linalg.norm(moved) <= self.tolerance * _median(distances, shares):
                break
        return point


def _distances(updates: Updates, point: Point) -> Float64[np.ndarray, " n"]:
    squared = np.zeros(len(updates))
    for columns in column_chunks(updates):
        apart = updates[:, columns] - point[columns]
        squared += np.einsum("ij,ij->i", apart, apart)
    return np.sqrt(squared)


def _step(updates: Updates, point: Point, factors: Float64[np.ndarray, " n"]) -> Point:
    """By how much the point moves: to the mean of the updates with these factors as weights."""
    moved = np.empty_like(point)
    shares = factors / factors.sum()
    for columns in column_chunks(updates):
        moved[columns] = shares @ (updates[:, columns] - point[columns])
    return moved


def _median(distances: Float64[np.ndarray, " n"], shares: Float64[np.ndarray, " n"]) -> float:
    order = np.argsort(distances)
    return float(distances[order][np.searchsorted(np.cumsum(shares[order]), 0.5)])
