"""What a robust rule is: it makes one mean update from single updates, some of which may be arbitrary.

A rule is a frozen description with pure functions, like a server optimizer. A rule of your own needs the two methods of
`RobustRule` and nothing else of this package. The sites whose updates may be arbitrary are called Byzantine, as in the
papers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.errors import ConfigError, UpdateError

Updates = Float32[np.ndarray, "n d"]
"""A row for each site."""

Weights = Float64[np.ndarray, " n"]
"""The sites' public weights, in the order of the rows."""

Point = Float64[np.ndarray, " d"]
"""A mean update."""

_CHUNK_VALUES: Final = 2**20


@runtime_checkable
class RobustRule(Protocol):
    """A mean that a minority of arbitrary updates cannot move far."""

    def check(self, n: int) -> None:
        """Raise ConfigError where the rule cannot work with the updates of `n` sites."""
        ...

    def combine(self, updates: Updates, weights: Weights) -> Point:
        """The mean update that the server optimizer takes.

        Raises ConfigError where there are too few updates and UpdateError where the arrays do not fit the rule.
        """
        ...


def check_arrays(updates: Updates, weights: Weights) -> None:
    """Refuse what is not n finite float32 rows with n positive weights; raises UpdateError."""
    if updates.dtype != np.float32 or updates.ndim != 2:
        raise UpdateError(f"the updates are {updates.dtype} of shape {updates.shape}, expected float32 of shape (n, d)")
    if weights.shape != (len(updates),):
        raise UpdateError(f"the weights have shape {weights.shape}, expected ({len(updates)},), one for each update")
    for row, (update, weight) in enumerate(zip(updates, weights, strict=True)):
        if not (np.isfinite(weight) and weight > 0):
            raise UpdateError(f"the weight of row {row} is {weight}, expected a positive number")
        if not np.isfinite(update).all():
            raise UpdateError(f"the update of row {row} holds values that are not finite")


def check_majority(rule: object, n: int) -> None:
    """Refuse fewer than three updates: any one of two moves their median as far as it likes; raises ConfigError."""
    if n < 3:
        raise ConfigError(f"{type(rule).__name__} has the updates of {n} sites, expected at least 3")


def check_count(rule: object, name: str, value: int) -> None:
    """Refuse a setting that is not a whole number of at least 1; raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{type(rule).__name__}'s {name} is {value!r}, expected a whole number of at least 1")


def column_chunks(updates: Updates) -> Iterator[slice]:
    """Slices of columns, in order, so that a float64 copy of each chunk takes about 8 MiB."""
    n, dimension = updates.shape
    width = max(1, _CHUNK_VALUES // max(1, n))
    return (slice(start, min(start + width, dimension)) for start in range(0, dimension, width))
