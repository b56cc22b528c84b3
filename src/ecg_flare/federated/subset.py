"""Training some tensors of a model and leaving the others as they are, exactly.

Under differential privacy every trained coordinate gets noise, whether it has something to learn or not: the noise of
a round is as long as sigma * C * sqrt(d). A subset makes a shorter vector of the chosen tensors, and everything that
is done to an update (clipping, encoding, sum, noise, server optimizer) is done to that vector. The other coordinates
are never part of it: they get no update and no noise, and d does not count them.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated.update import ParameterLayout, Vector, layout_digest, layout_size

EVERY_TENSOR: Final = ("*",)
"""Patterns of all tensors."""


@dataclass(frozen=True)
class TrainableSubset:
    """The tensors of a layout that are trained; the others keep the values that they have.

    >>> layout = (("encoder.weight", (2, 3)), ("decoder.weight", (3,)), ("decoder.bias", (1,)))
    >>> subset = TrainableSubset.matching(layout, ["decoder.*"])
    >>> subset.names, subset.dimension
    (('decoder.weight', 'decoder.bias'), 4)

    Attributes:
        layout: of the whole model.
        names: of the trained tensors, in the layout's order.

    Raises ConfigError for a name that the layout lacks, for names in another order, and for none at all.
    """

    layout: ParameterLayout
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        chosen = set(self.names)
        if not chosen or self.names != tuple(name for name, _ in self.layout if name in chosen):
            raise ConfigError(
                f"the trained tensors {list(self.names)} must be one or more of the layout's, each once and in its "
                f"order: {[name for name, _ in self.layout]}"
            )

    @classmethod
    def matching(cls, layout: ParameterLayout, patterns: Sequence[str]) -> TrainableSubset:
        """The tensors whose names match one or more of the shell patterns, such as `decoder.stages.2.*`.

        Raises ConfigError for a pattern that matches no tensor: it was meant for another network.
        """
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(name, pattern) for name, _ in layout):
                raise ConfigError(f"no tensor matches {pattern!r}, the layout has {[name for name, _ in layout]}")
        matched = (name for name, _ in layout if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))
        return cls(layout, tuple(matched))

    def without(self, patterns: Sequence[str]) -> TrainableSubset:
        """These tensors without those whose names match; raises ConfigError for a pattern of none, or if none is left.

        >>> layout = (("block.weight", (2, 3)), ("block.norm", (3,)))
        >>> TrainableSubset.matching(layout, ["*"]).without(["*.norm"]).names
        ('block.weight',)
        """
        if not patterns:
            return self
        out = set(self.matching(self.layout, patterns).names)
        left = tuple(name for name in self.names if name not in out)
        if not left:
            raise ConfigError(f"the patterns {list(patterns)} take every tensor: none is left for the sites to train")
        return TrainableSubset(self.layout, left)

    @cached_property
    def trained_layout(self) -> ParameterLayout:
        """Name and shape of the trained tensors: the layout of the shorter vector."""
        chosen = set(self.names)
        return tuple((name, shape) for name, shape in self.layout if name in chosen)

    @property
    def dimension(self) -> int:
        """How many coordinates are trained, the d that noise is spread over."""
        return layout_size(self.trained_layout)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) that says what the shorter vector means; for all tensors it is the layout's own."""
        return layout_digest(self.trained_layout)

    def take(self, vector: Vector) -> Float32[np.ndarray, " trained"]:
        """The trained coordinates of a model or an update; raises UpdateError for one of another length."""
        self._check(vector)
        part: Float32[np.ndarray, " trained"] = vector[self._mask]
        return part

    def put(self, vector: Vector, part: Float32[np.ndarray, " trained"]) -> Vector:
        """A copy of the vector with `part` as its trained coordinates, the others bit by bit as they were.

        Raises UpdateError for a vector or a part of another length.
        """
        self._check(vector)
        if part.shape != (self.dimension,):
            raise UpdateError(f"the trained part has shape {part.shape}, expected ({self.dimension},)")
        whole = vector.copy()
        whole[self._mask] = part
        return whole

    @cached_property
    def _mask(self) -> Bool[np.ndarray, " d"]:
        chosen = set(self.names)
        return np.concatenate([np.full(math.prod(shape), name in chosen) for name, shape in self.layout])

    def _check(self, vector: Vector) -> None:
        if vector.shape != self._mask.shape:
            raise UpdateError(f"the vector has shape {vector.shape}, expected ({self._mask.size},)")
