"""The sheet of paper in a photograph: the bright area, where it is darker all around."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float64, UInt8

_CELLS = 240
_DARK = 0.62  # surroundings are this much darker than the paper, or there is no telling them apart
_MIN_OUTSIDE, _MIN_SHEET = 0.02, 0.2  # parts of the picture


@dataclass(frozen=True, eq=False)
class Sheet:
    """Where the paper lies in a picture.

    Attributes:
        inside: pixels of the paper, on a small copy of the picture.
        corners: its four corners in the picture's pixels, clockwise from the top left; None when it has no four.
    """

    inside: Bool[np.ndarray, "ch cw"]
    corners: Float64[np.ndarray, "4 2"] | None

    def mask(self, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """Pixels of the paper at the picture's own size, its edge left out: a dark rim would be read as a row."""
        whole = cv2.erode(self.inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
        large = cv2.resize(255 * whole, shape[::-1], interpolation=cv2.INTER_LINEAR)
        inside: Bool[np.ndarray, "h w"] = large > 127
        return inside


def find_sheet(image: UInt8[np.ndarray, "h w 3"]) -> Sheet | None:
    """Find the paper before darker surroundings; None when it fills the picture or does not stand out."""
    height, width = image.shape[:2]
    step = max(1.0, max(height, width) / _CELLS)
    size = (max(2, round(width / step)), max(2, round(height / step)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).max(axis=2)
    bright = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))  # print is thinner than this
    split, _ = cv2.threshold(bright, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    light, dark = bright[bright > split], bright[bright <= split]
    if len(light) == 0 or len(dark) == 0 or float(np.median(dark)) > _DARK * float(np.median(light)):
        return None
    count, labels, stats, _ = cv2.connectedComponentsWithStats((bright > split).astype(np.uint8), connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    contours, _ = cv2.findContours((labels == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=cv2.contourArea)
    filled = np.zeros(bright.shape, np.uint8)
    cv2.drawContours(filled, [cv2.convexHull(outline)], -1, 1, cv2.FILLED)
    part = float(filled.mean())
    if not _MIN_SHEET < part < 1.0 - _MIN_OUTSIDE:
        return None
    corners = _corners(outline)
    scale = np.array([width / size[0], height / size[1]])
    return Sheet(filled.astype(bool), None if corners is None else (corners + 0.5) * scale - 0.5)


def _corners(outline: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> Float64[np.ndarray, "4 2"] | None:
    hull = cv2.convexHull(outline)
    around = cv2.arcLength(hull, True)
    for tolerance in (0.01, 0.02, 0.03, 0.05):
        polygon = cv2.approxPolyDP(hull, tolerance * around, True)
        if len(polygon) == 4:
            return _clockwise(polygon[:, 0].astype(np.float64))
    return None


def _clockwise(corners: Float64[np.ndarray, "4 2"]) -> Float64[np.ndarray, "4 2"]:
    around = corners - corners.mean(axis=0)
    ordered = corners[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
    first = int(np.argmin(ordered.sum(axis=1)))
    return np.roll(ordered, -first, axis=0)
