"""Krum and multi-Krum: the updates whose nearest neighbours are nearest.

Blanchard, P., El Mhamdi, E. M., Guerraoui, R., & Stainer, J. (2017). Machine Learning with Adversaries: Byzantine
Tolerant Gradient Descent. Advances in Neural Information Processing Systems 30 (NIPS), 119-129. arXiv 1703.02757.
Section 4 (Krum) and section 6 (multi-Krum).

The score of an update is the sum of its squared distances to the n - f - 2 updates nearest to it. That multi-Krum may
average up to n - f - 2 updates is from Damaskinos, G., El Mhamdi, E. M., Guerraoui, R., Guirguis, A., & Rouault, S.
(2019). AggregaThor: Byzantine Machine Learning via Robust Gradient Aggregation. Proceedings of Machine Learning and
Systems 1, 81-106.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from ecg_flare.errors import ConfigError
from ecg_flare.federated.robust.rule import Point, Updates, Weights, check_arrays, check_count, column_chunks


@dataclass(frozen=True)
class Krum:
    """The one update with the smallest score.

    Weights: Krum ignores them. Of equal scores the first row's is taken, as in the paper; sites stand in sorted order.

    max_byzantine: f, the most sites whose updates may be arbitrary.
    """

    max_byzantine: int = 1

    def __post_init__(self) -> None:
        check_count(self, "max_byzantine", self.max_byzantine)

    def check(self, n: int) -> None:
        """Raise ConfigError unless n >= 2 f + 3."""
        _check_sites("Krum", n, self.max_byzantine)

    def combine(self, updates: Updates, weights: Weights) -> Point:
        """The chosen update, float64 of shape (d,); raises ConfigError and UpdateError as `RobustRule` says."""
        check_arrays(updates, weights)
        self.check(len(updates))
        chosen: Point = updates[best_rows(updates, self.max_byzantine)[0]].astype(np.float64)
        return chosen


@dataclass(frozen=True)
class MultiKrum:
    """The plain mean of the updates with the smallest scores.

    Weights: multi-Krum ignores them, in the scores and in the mean. Equal scores are taken in the order of the rows.

    max_byzantine: f, the most sites whose updates may be arbitrary.
    selected: how many updates are averaged, at most n - f - 2; None takes n - f - 2.
    """

    max_byzantine: int = 1
    selected: int | None = None

    def __post_init__(self) -> None:
        check_count(self, "max_byzantine", self.max_byzantine)
        if self.selected is not None:
            check_count(self, "selected", self.selected)

    def check(self, n: int) -> None:
        """Raise ConfigError unless n >= 2 f + 3 and selected <= n - f - 2."""
        _check_sites("MultiKrum", n, self.max_byzantine)
        neighbours = n - self.max_byzantine - 2
        if self.selected is not None and self.selected > neighbours:
            raise ConfigError(
                f"MultiKrum's selected is {self.selected}, expected at most n - max_byzantine - 2 = {neighbours} with "
                f"the updates of {n} sites"
            )

    def combine(self, updates: Updates, weights: Weights) -> Point:
        """The mean, float64 of shape (d,); raises ConfigError and UpdateError as `RobustRule` says."""
        check_arrays(updates, weights)
        self.check(len(updates))
        selected = len(updates) - self.max_byzantine - 2 if self.selected is None else self.selected
        total = np.zeros(updates.shape[1])
        for row in best_rows(updates, self.max_byzantine)[:selected]:
            total += updates[row]
        mean: Point = total / selected
        return mean


def best_rows(updates: Updates, max_byzantine: int) -> Int64[np.ndarray, " n"]:
    """All rows, that of the smallest score first; equal scores keep the order of the rows."""
    neighbours = len(updates) - max_byzantine - 2
    # Each row's distance to itself, zero, stands first and is left out.
    scores = np.sort(_squared_distances(updates), axis=1)[:, 1 : 1 + neighbours].sum(axis=1)
    return np.argsort(scores, kind="stable")


def _squared_distances(updates: Updates) -> Float64[np.ndarray, "n n"]:
    # Differences, not inner products: these lose all digits where an update is long and its neighbours are near.
    n = len(updates)
    squared = np.zeros((n, n))
    for columns in column_chunks(updates):
        values = updates[:, columns].astype(np.float64)
        for row in range(n - 1):
            apart = values[row + 1 :] - values[row]
            squared[row, row + 1 :] += np.einsum("ij,ij->i", apart, apart)
    return squared + squared.T


def _check_sites(rule: str, n: int, max_byzantine: int) -> None:
    if n < 2 * max_byzantine + 3:
        raise ConfigError(
            f"{rule} with max_byzantine {max_byzantine} has the updates of {n} sites, expected at least "
            f"2 max_byzantine + 3 = {2 * max_byzantine + 3}"
        )
