"""The scales that a page is worked on at: one for the network, one for following lines."""

from typing import Final, TypeVar

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.measure.calibrate import Calibration
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM

FINEST_PX_PER_MM: Final = 12.0  # 300 dpi: finer scans add time, not signal
_Place = TypeVar("_Place", float, Float64[np.ndarray, " k"])


def at_network_scale(image: UInt8[np.ndarray, "h w 3"], calibration: Calibration) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return the page at NORMALIZED_PX_PER_MM both ways."""
    size = (
        max(8, round(image.shape[1] * NORMALIZED_PX_PER_MM / calibration.px_per_mm_x)),
        max(8, round(image.shape[0] * NORMALIZED_PX_PER_MM / calibration.px_per_mm_y)),
    )
    shrinks = size[0] < image.shape[1] and size[1] < image.shape[0]
    resized: UInt8[np.ndarray, "h2 w2 3"] = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return resized


def at_trace_scale(
    image: UInt8[np.ndarray, "h w 3"], calibration: Calibration
) -> tuple[UInt8[np.ndarray, "h w 3"], tuple[float, float]]:
    """Return the image that lines are followed on, and its scale over the page's in x and y."""
    finest = max(calibration.px_per_mm_x, calibration.px_per_mm_y)
    if finest <= 1.1 * FINEST_PX_PER_MM:
        return image, (1.0, 1.0)
    factor = FINEST_PX_PER_MM / finest
    height, width = image.shape[:2]
    size = (round(width * factor), round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), (size[0] / width, size[1] / height)


def to_page(place: _Place, shrink: float) -> _Place:
    """Undo `at_trace_scale` for a coordinate: corners stay corners, and pixels have their centre at whole numbers."""
    return (place + 0.5) / shrink - 0.5
