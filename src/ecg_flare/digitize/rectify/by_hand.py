"""A page stood up as a person says: turned by quarters, cut out by its corners, and then made straight by its grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.rectify.normalize import MIN_LENGTH_PX, MIN_SIDE_PX, NormalizedPage, normalize, turned
from ecg_flare.errors import PageError

STANDS_BY_HAND = 1.0
"""A person's word that a page stands upright leaves no doubt."""


def stand_by_hand(
    image: UInt8[np.ndarray, "h w 3"], corners: Sequence[tuple[float, float]] | None, turned_deg: int
) -> NormalizedPage:
    """Cut the page out of a picture, turn it by 0, 90, 180 or 270 degrees clockwise, and make it straight.

    `corners` are in pixels of the picture, clockwise from its top left; None for the whole picture. Raises PageError
    where what is left is too small or blank.
    """
    cut, homography = (image, np.eye(3)) if corners is None else _cut_out(image, np.array(corners, np.float64))
    standing, turn = (cut, np.eye(3)) if turned_deg == 0 else turned(cut, turned_deg)
    page = normalize(standing)
    return replace(
        page,
        homography=page.homography @ turn @ homography,
        from_source=page.homography,
        rotation_deg=page.rotation_deg + turned_deg,
        turned_deg=turned_deg,
        upright_confidence=STANDS_BY_HAND,
    )


def _cut_out(
    image: UInt8[np.ndarray, "h w 3"], corners: Float64[np.ndarray, "4 2"]
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], Float64[np.ndarray, "3 3"]]:
    """Return the part within the corners, flat, as long and as wide as its sides are in the picture."""
    top, right, bottom, left = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    width, height = round((top + bottom) / 2), round((left + right) / 2)
    if min(width, height) < MIN_SIDE_PX or max(width, height) < MIN_LENGTH_PX:
        raise PageError(
            f"the corners enclose {width} x {height} pixels; at least {MIN_LENGTH_PX} x {MIN_SIDE_PX} are needed to "
            "read a page"
        )
    flat = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    homography: Float64[np.ndarray, "3 3"] = cv2.getPerspectiveTransform(corners.astype(np.float32), flat)
    cut = cv2.warpPerspective(
        image, homography, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return cut, homography
