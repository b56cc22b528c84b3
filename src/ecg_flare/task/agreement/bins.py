"""Public bins: where a value of a fingerprint is counted, and which value a bin stands for.

The bins follow from a job's terms and from nothing else, so that all sites count alike. A value outside of them is
counted in the first bin or the last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64

from ecg_flare.errors import ConfigError

AXES: Final = 3
"""nnU-Net's readers give every image three axes."""

_MAX_BINS: Final = 1 << 20


@dataclass(frozen=True)
class LogBins:
    """Bins of one width in the logarithm, `per_octave` for each doubling from 2^first to 2^last.

    The powers of two are centres, so that a spacing of 1 that was stored as 0.9999999 is counted where 1 is.

    >>> bins = LogBins(-2, 3, 16)
    >>> [bins.value(int(each)) for each in bins.place(np.array([1.0, 0.7812, 3.0, 100.0]))]
    [1.0, 0.77, 3.0, 8.0]
    """

    first: int
    last: int
    per_octave: int

    @property
    def size(self) -> int:
        """How many bins there are."""
        return (self.last - self.first) * self.per_octave + 1

    def place(self, values: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The bin of each value, all above 0."""
        places = np.rint((np.log2(values) - self.first) * self.per_octave)
        return places.clip(0, self.size - 1).astype(np.int64)

    def holds(self, value: float) -> bool:
        """Whether the value lies within the bins, and not beyond their ends."""
        return self._edge(0) <= value <= self._edge(self.size)

    def value(self, place: int) -> float:
        """The number of fewest digits in a bin, the nearest to its centre of these.

        Spacings are mostly chosen by people, as 3 mm or 0.75 mm: so the bin stands for the very number, and the plan
        resamples no image that has it.
        """
        centre = 2.0 ** (self.first + place / self.per_octave)
        magnitude = math.floor(math.log10(centre))
        for digits in range(1, 17):
            places = digits - 1 - magnitude
            rounded = round(centre, places)
            if self._edge(place) <= rounded < self._edge(place + 1):
                return float(rounded)
        return centre

    def _edge(self, place: int) -> float:
        return float(2.0 ** (self.first + (place - 0.5) / self.per_octave))


@dataclass(frozen=True)
class LinearBins:
    """`size` bins of one width between two numbers; each stands for its centre."""

    least: float
    largest: float
    size: int

    @property
    def width(self) -> float:
        """Of each bin."""
        return (self.largest - self.least) / self.size

    def place(self, values: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The bin of each value."""
        places = np.floor((values - self.least) / self.width)
        return places.clip(0, self.size - 1).astype(np.int64)

    def holds(self, value: float) -> bool:
        """Whether the value lies within the bins."""
        return self.least <= value <= self.largest

    def value(self, place: int) -> float:
        """The centre of a bin."""
        return self.least + (place + 0.5) * self.width


Bins = LogBins | LinearBins


@dataclass(frozen=True)
class FingerprintBins:
    """How finely a fingerprint is counted.

    Attributes:
        per_octave: bins from a spacing, a number of voxels or an extent to the double of it. 1024 tell 512 voxels from
            513; fewer collect less noise.
        relative_sizes: bins from 0 to 1 of the share that is left once zeros are cut off. nnU-Net asks whether the
            median is below 3/4, so 4 or a multiple.
        intensity_width: width of a bin of intensities, in the image's own unit.
        least_intensity, largest_intensity: what the bins of intensities reach from and to; by default the Hounsfield
            units of CT.

    Raises ConfigError for an impossible number.
    """

    per_octave: int = 1024
    relative_sizes: int = 64
    intensity_width: float = 1.0
    least_intensity: float = -1024.0
    largest_intensity: float = 3071.0

    @classmethod
    def coarse(cls, per_octave: int = 8, relative_sizes: int = 4, intensity_width: float = 16.0) -> FingerprintBins:
        """Bins for sums with noise: each bin has its own, so fewer collect less."""
        return cls(per_octave, relative_sizes, intensity_width)

    def __post_init__(self) -> None:
        if type(self.per_octave) is not int or not 1 <= self.per_octave <= 4096:
            raise ConfigError(f"per_octave is {self.per_octave!r}, expected a whole number from 1 to 4096")
        if type(self.relative_sizes) is not int or self.relative_sizes % 4 or not 4 <= self.relative_sizes <= 1024:
            raise ConfigError(f"relative_sizes is {self.relative_sizes!r}, expected a multiple of 4, at most 1024")
        numbers = self.intensity_width, self.least_intensity, self.largest_intensity
        if not all(type(each) in (int, float) and math.isfinite(each) for each in numbers):
            raise ConfigError(f"intensity_width, least_ and largest_intensity are {numbers}, expected numbers")
        if not (self.intensity_width > 0 and self.least_intensity < self.largest_intensity):
            raise ConfigError(f"intensities from {numbers[1]} to {numbers[2]} by {numbers[0]} are no bins")
        if self.intensities.size > _MAX_BINS:
            raise ConfigError(f"there are {self.intensities.size} bins of intensities, at most {_MAX_BINS} can be")

    @property
    def intensities(self) -> LinearBins:
        """Bins whose centres are whole multiples of the width, from the least intensity on."""
        width = self.intensity_width
        count = round((self.largest_intensity - self.least_intensity) / width) + 1
        least = self.least_intensity - width / 2
        return LinearBins(least, least + count * width, max(count, 2))

    def blocks(self, intensity_channels: Sequence[int]) -> dict[str, Bins]:
        """Name -> bins of each histogram, in the order of the vector that is summed.

        `intensity_channels` are the channels whose normalization follows from intensities of the data.
        """
        octaves = {"spacing": (-7, 10), "shape": (0, 14), "extent": (-4, 18)}
        logs = {
            f"{what}.{axis}": LogBins(*ends, self.per_octave) for what, ends in octaves.items() for axis in range(AXES)
        }
        relative = {"relative_size": LinearBins(0.0, 1.0, self.relative_sizes)}
        return {**logs, **relative, **{f"intensity.{channel}": self.intensities for channel in intensity_channels}}

    def to_json(self) -> dict[str, Any]:
        """The numbers by name."""
        return asdict(self)
