"""The coordinate-wise median.

Yin, D., Chen, Y., Ramchandran, K., & Bartlett, P. (2018). Byzantine-Robust Distributed Learning: Towards Optimal
Statistical Rates. Proceedings of the 35th International Conference on Machine Learning (ICML), PMLR 80, 5650-5659.
arXiv 1803.01498. Definition 1 and algorithm 1, option I.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.federated.robust.rule import Point, Updates, Weights, check_arrays, check_majority, column_chunks

_TIE: Final = 1e-12
"""How near to half of the weight, as a share of it all, a cumulated weight counts as the half itself."""


@dataclass(frozen=True)
class Median:
    """In each coordinate the weighted median of the sites' values.

    Weights: the median halves the public weight. It is the smallest value up to which values have more than half of the
    weight; where values have exactly half of it, the mean of the last of them and the next. With equal weights it is
    the ordinary median, and a site of weight 2 counts like two sites of weight 1.

    Each coordinate stays within the honest sites' values as long as the Byzantine ones have less than half of the
    weight. A site with more than half of it decides alone.
    """

    def check(self, n: int) -> None:
        """Raise ConfigError for fewer than 3 sites."""
        check_majority(self, n)

    def combine(self, updates: Updates, weights: Weights) -> Point:
        """The median, float64 of shape (d,); raises ConfigError and UpdateError as `RobustRule` says."""
        check_arrays(updates, weights)
        self.check(len(updates))
        return weighted_median(updates, weights)


def weighted_median(updates: Updates, weights: Weights) -> Point:
    """The weighted median of each column; see `Median`."""
    median = np.empty(updates.shape[1])
    equal = bool((weights == weights[0]).all())
    for columns in column_chunks(updates):
        values = updates[:, columns].astype(np.float64)
        median[columns] = np.median(values, axis=0) if equal else _weighted(values, weights)
    return median


def _weighted(values: Float64[np.ndarray, "n k"], weights: Weights) -> Float64[np.ndarray, " k"]:
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    share = np.cumsum(weights[order] / weights.sum(), axis=0)
    lower = np.argmax(share >= 0.5 - _TIE, axis=0)[np.newaxis]
    upper = np.argmax(share > 0.5 + _TIE, axis=0)[np.newaxis]
    pair = np.take_along_axis(ordered, np.concatenate((lower, upper)), axis=0)
    halved: Float64[np.ndarray, " k"] = pair.mean(axis=0)
    return halved
