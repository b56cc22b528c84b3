"""An average of the global models of past rounds, to be released in place of the last one.

Noise of different rounds is independent and averages out, while the models of late rounds are near each other (Polyak
& Juditsky 1992; for private training De et al. 2022, arXiv 2204.13650, section 3.2). Each model is released already, so
their average costs no privacy. Weights fall by `decay` a round into the past and sum to 1 from the first round on
(the bias correction of Adam, Kingma & Ba 2015): the start is not in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.errors import ConfigError

Vector = Float32[np.ndarray, " d"]


@dataclass(frozen=True, eq=False)
class Average:
    """How many models were averaged, and their average."""

    models: int
    vector: Float64[np.ndarray, " d"]

    @property
    def model(self) -> Vector:
        """The average as a model."""
        model: Vector = self.vector.astype(np.float32)
        return model


@dataclass(frozen=True)
class IterateAverage:
    """x_t with weight proportional to decay^(T - t); a decay of 0 gives the last model itself.

    >>> average = IterateAverage(decay=0.5)
    >>> state = average.step(None, np.float32([2.0]))
    >>> average.step(state, np.float32([5.0])).vector
    array([4.])

    Raises ConfigError for a decay outside [0, 1).
    """

    decay: float

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ConfigError(f"decay is {self.decay}, expected 0 <= decay < 1")

    def step(self, state: Average | None, model: Vector) -> Average:
        """The average with the model of one more round; `state` is None before the first."""
        if state is None:
            return Average(1, model.astype(np.float64))
        models = state.models + 1
        weight = (1 - self.decay) / -math.expm1(models * math.log(self.decay)) if self.decay else 1.0
        return Average(models, state.vector + weight * (model - state.vector))
