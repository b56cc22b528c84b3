"""The unit that lengths on a page are converted by: pixels a millimetre of paper, along x and down y."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ecg_flare.errors import ConfigError


@dataclass(frozen=True)
class PxPerMm:
    """Pixels a millimetre of paper, along x and down y; scanners and cameras stretch a page by a few per cent.

    Raises ConfigError for a number that is not positive and finite.
    """

    x: float
    y: float

    def __post_init__(self) -> None:
        for axis, value in (("x", self.x), ("y", self.y)):
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"px_per_mm is {value} along {axis}; expected a positive number")

    @property
    def finer(self) -> float:
        """The greater of both."""
        return max(self.x, self.y)

    @property
    def coarser(self) -> float:
        """The smaller of both."""
        return min(self.x, self.y)

    def scaled(self, x: float, y: float) -> PxPerMm:
        """The unit on a picture resized by these factors."""
        return PxPerMm(self.x * x, self.y * y)
