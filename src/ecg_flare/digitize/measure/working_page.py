"""A page at the scales that it is worked on: one for the network, one for following lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.measure.pulse import Pulse, believed
from ecg_flare.digitize.measure.pulses import find_pulses
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM

FINEST_PX_PER_MM: Final = 12.0
"""300 dpi: finer scans add time, not signal."""

_Place = TypeVar("_Place", float, Float64[np.ndarray, " k"])


@dataclass(frozen=True, eq=False)
class WorkingPage:
    """A page at the scale that lines are followed at.

    Attributes:
        image: the page, shrunk where it is finer than FINEST_PX_PER_MM.
        shrink: how many times the page's own size that is, in x and y.
        px_per_mm: the unit of lengths on `image`.
        pulses: the calibration pulses seen on `image`, in its pixels.
    """

    image: UInt8[np.ndarray, "h w 3"]
    shrink: tuple[float, float]
    px_per_mm: PxPerMm
    pulses: tuple[Pulse, ...]

    def on_page(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        """Take points (x, y) of this image to the page's own pixels: corners stay corners."""
        own: Float64[np.ndarray, "k 2"] = (points + 0.5) / np.array(self.shrink) - 0.5
        return own

    def from_page(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        """Take points (x, y) of the page to this image."""
        here: Float64[np.ndarray, "k 2"] = (points + 0.5) * np.array(self.shrink) - 0.5
        return here


def at_network_scale(image: UInt8[np.ndarray, "h w 3"], px_per_mm: PxPerMm) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return a page at NORMALIZED_PX_PER_MM both ways."""
    size = (
        max(8, round(image.shape[1] * NORMALIZED_PX_PER_MM / px_per_mm.x)),
        max(8, round(image.shape[0] * NORMALIZED_PX_PER_MM / px_per_mm.y)),
    )
    shrinks = size[0] < image.shape[1] and size[1] < image.shape[0]
    resized: UInt8[np.ndarray, "h2 w2 3"] = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return resized


def at_trace_scale(image: UInt8[np.ndarray, "h w 3"], px_per_mm: PxPerMm) -> WorkingPage:
    """Return a page at the scale that lines are followed at, and its calibration pulses there."""
    shrunk, shrink = _shrunk(image, px_per_mm)
    unit = px_per_mm.scaled(*shrink)
    return WorkingPage(shrunk, shrink, unit, believed(find_pulses(shrunk, unit.x), unit.x, unit.y))


def _shrunk(
    image: UInt8[np.ndarray, "h w 3"], px_per_mm: PxPerMm
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], tuple[float, float]]:
    if px_per_mm.finer <= 1.1 * FINEST_PX_PER_MM:
        return image, (1.0, 1.0)
    factor = FINEST_PX_PER_MM / px_per_mm.finer
    height, width = image.shape[:2]
    size = (round(width * factor), round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), (size[0] / width, size[1] / height)


def to_page(place: _Place, shrink: float) -> _Place:
    """Take a coordinate from a working page back to the page: corners stay corners, pixel centres are whole numbers."""
    return (place + 0.5) / shrink - 0.5
