"""What takes in the updates of a round, one by one, and gives their mean."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import Float64, Shaped


class Accumulator(Protocol):
    """The updates of a round so far: `RunningSum` adds them up, `SingleUpdates` keeps each for a robust rule."""

    @property
    def sites(self) -> tuple[str, ...]:
        """Whose updates are in, in sorted order."""
        ...

    def add(self, site: str, contribution: Shaped[np.ndarray, " d"], /) -> None:
        """Take in what a site sent. Raises UpdateError, with all as it was, for what this round did not ask for."""
        ...

    def mean(self) -> Float64[np.ndarray, " d"]:
        """The mean update, for the server optimizer. Raises UpdateError where too few answered."""
        ...
