"""The coordinate-wise trimmed mean.

Yin, D., Chen, Y., Ramchandran, K., & Bartlett, P. (2018). Byzantine-Robust Distributed Learning: Towards Optimal
Statistical Rates. Proceedings of the 35th International Conference on Machine Learning (ICML), PMLR 80, 5650-5659.
arXiv 1803.01498. Definition 2 and algorithm 1, option II; `max_byzantine` is the paper's beta times the
number of sites.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecg_flare.errors import ConfigError
from ecg_flare.federated.robust.rule import Point, Updates, Weights, check_arrays, check_count, column_chunks


@dataclass(frozen=True)
class TrimmedMean:
    """In each coordinate the weighted mean of the values that remain without the f smallest and the f largest.

    Weights: sites are trimmed by their number, whatever their weight (of equal values the lightest counts as the
    smallest); the mean of those that remain takes the public weights.

    Each coordinate stays within the honest sites' values as long as at most f sites are Byzantine.

    max_byzantine: f, the most sites whose updates may be arbitrary.
    """

    max_byzantine: int = 1

    def __post_init__(self) -> None:
        check_count(self, "max_byzantine", self.max_byzantine)

    def check(self, n: int) -> None:
        """Raise ConfigError unless 2 f < n."""
        if n <= 2 * self.max_byzantine:
            raise ConfigError(
                f"TrimmedMean with max_byzantine {self.max_byzantine} has the updates of {n} sites, expected at least "
                f"{2 * self.max_byzantine + 1}"
            )

    def combine(self, updates: Updates, weights: Weights) -> Point:
        """The trimmed mean, float64 of shape (d,); raises ConfigError and UpdateError as `RobustRule` says."""
        check_arrays(updates, weights)
        self.check(len(updates))
        mean = np.empty(updates.shape[1])
        # A stable sort of rows in the order of their weights leaves the order of arrival without influence.
        rows = np.argsort(weights, kind="stable")
        kept = slice(self.max_byzantine, len(updates) - self.max_byzantine)
        for columns in column_chunks(updates):
            values = updates[:, columns].astype(np.float64)[rows]
            order = np.argsort(values, axis=0, kind="stable")[kept]
            mean[columns] = np.average(np.take_along_axis(values, order, axis=0), axis=0, weights=weights[rows][order])
        return mean
