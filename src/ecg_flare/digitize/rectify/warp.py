"""A picture moved: seen through a homography, with paper where it does not reach and over what is no paper."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.rectify.sheet import Sheet

_MAX_GROWTH: Final = 1.8  # a rectified page is at most this much longer than its picture


def warp(
    image: UInt8[np.ndarray, "h w 3"],
    homography: Float64[np.ndarray, "3 3"],
    box: Float64[np.ndarray, "2 2"] | None = None,
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], Float64[np.ndarray, "3 3"]]:
    """The picture, or a box of it, seen through a homography, moved into view; paper where it does not reach.

    `box` is the first and the last corner (x, y) in pixels of the homography's target. Returns the picture, at most
    _MAX_GROWTH times as long, and the homography from the old pixels to its own.
    """
    shape = image.shape[:2]
    moved = cv2.perspectiveTransform(corners_of((shape[0], shape[1]))[None], homography)[0]
    centre = np.array([[[(shape[1] - 1) / 2, (shape[0] - 1) / 2]]])
    middle = cv2.perspectiveTransform(centre, homography)[0, 0]
    reach = _MAX_GROWTH * max(shape) / 2
    low = np.floor(np.maximum(moved.min(axis=0), middle - reach))
    high = np.ceil(np.minimum(moved.max(axis=0), middle + reach))
    if box is not None:
        low, high = np.maximum(low, np.floor(box[0])), np.minimum(high, np.ceil(box[1]))
    into_view = np.array([[1.0, 0.0, -low[0]], [0.0, 1.0, -low[1]], [0.0, 0.0, 1.0]]) @ homography
    size = (int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1)
    paper = paper_colour(image)
    flags = cv2.INTER_CUBIC
    warped = cv2.warpPerspective(image, into_view, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=paper)
    return warped, into_view / into_view[2, 2]


def cover_surroundings(image: UInt8[np.ndarray, "h w 3"], sheet: Sheet | None) -> UInt8[np.ndarray, "h w 3"]:
    """Paint what lies around the sheet in the paper's colour, so that nothing is read off the table."""
    if sheet is None:
        return image
    covered = image.copy()
    covered[~sheet.mask((image.shape[0], image.shape[1]))] = np.round(paper_colour(image)).astype(np.uint8)
    return covered


def paper_colour(image: UInt8[np.ndarray, "h w 3"]) -> tuple[float, float, float]:
    """The colour of bare paper: brighter than four fifths of the picture."""
    red, green, blue = np.quantile(image[::7, ::7].reshape(-1, 3), 0.8, axis=0)
    return float(red), float(green), float(blue)


def corners_of(shape: tuple[int, int]) -> Float64[np.ndarray, "4 2"]:
    """The corner pixels (x, y) of a picture of (height, width), clockwise from the top left."""
    height, width = shape
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)
