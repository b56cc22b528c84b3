"""Robust rules as FLARE aggregators: by comparing updates they keep a minority of sites from moving the model far.

Each takes the mean of `federated.robust` in the place of the weighted mean, and FedAvg's step. A job whose sum hides
updates, or whose sums are noised, is refused. Memory grows with the number of sites.
"""

from ecg_flare.federated import robust
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.flare.server.aggregators import UpdateAggregator


class Median(UpdateAggregator):
    """Coordinate-wise median (Yin et al. 2018)."""

    def __init__(self, learning_rate: float = 1.0) -> None:
        super().__init__(FedAvg(learning_rate), robust.Median())


class TrimmedMean(UpdateAggregator):
    """Coordinate-wise mean without the `max_byzantine` largest and smallest values (Yin et al. 2018)."""

    def __init__(self, max_byzantine: int = 1, learning_rate: float = 1.0) -> None:
        super().__init__(FedAvg(learning_rate), robust.TrimmedMean(max_byzantine))


class Krum(UpdateAggregator):
    """The update with the nearest neighbours (Blanchard et al. 2017)."""

    def __init__(self, max_byzantine: int = 1, learning_rate: float = 1.0) -> None:
        super().__init__(FedAvg(learning_rate), robust.Krum(max_byzantine))


class MultiKrum(UpdateAggregator):
    """The mean of the `selected` updates that Krum scores best (Blanchard et al. 2017)."""

    def __init__(self, max_byzantine: int = 1, selected: int | None = None, learning_rate: float = 1.0) -> None:
        super().__init__(FedAvg(learning_rate), robust.MultiKrum(max_byzantine, selected))


class GeometricMedian(UpdateAggregator):
    """The point of the least sum of distances (RFA; Pillutla et al. 2022)."""

    def __init__(self, smoothing: float = 1e-6, learning_rate: float = 1.0) -> None:
        super().__init__(FedAvg(learning_rate), robust.GeometricMedian(smoothing))
