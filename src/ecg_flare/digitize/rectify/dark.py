"""Light on dark, as monitors, viewers at night and negatives show a page: told from dark paper, and inverted.

What is drawn takes little room: in most places of a page the brightness most often seen is the ground's, and what is
drawn lies on one side of it. On a dark page that side is the brighter one. A page in deep shadow, or before a dark
table, has ink darker than its ground all the same.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

_LONGEST_PX: Final = 1400
_TILES: Final = 24
_CONTRAST: Final = 24.0  # of 255, between the ground and what is drawn: places with less say nothing
_DARK_GROUND: Final = 128.0
_ONE_SIDED: Final = 1.5  # what is drawn reaches this much farther to one side of the ground than to the other
_MIN_PART: Final = 0.5  # of the places that say something
_MIN_PLACES: Final = 0.05  # of all places


def invert_dark(image: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h w 3"], bool]:
    """Return the page as dark on light, and whether it was light on dark; a page that is not comes back untouched."""
    if not is_dark(image):
        return image, False
    return cv2.bitwise_not(image), True


def is_dark(image: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether a picture shows light lines on a dark ground."""
    height, width = image.shape[:2]
    step = max(1, round(max(height, width) / _LONGEST_PX))
    grey = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_RGB2GRAY)
    if float(np.median(grey)) >= _DARK_GROUND:
        return False
    side = max(8, max(grey.shape) // _TILES)
    down, across = grey.shape[0] // side, grey.shape[1] // side
    if down == 0 or across == 0:
        return False
    tiles = grey[: down * side, : across * side].reshape(down, side, across, side).swapaxes(1, 2)
    low, ground, high = np.percentile(tiles.reshape(down * across, -1), (2, 50, 98), axis=1)
    above, below = high - ground, ground - low
    light_lines = (above > _CONTRAST) & (above > _ONE_SIDED * below) & (ground < _DARK_GROUND)
    dark_lines = (below > _CONTRAST) & (below > _ONE_SIDED * above)
    telling = light_lines.sum() + dark_lines.sum()
    return bool(telling >= _MIN_PLACES * len(ground) and light_lines.sum() > _MIN_PART * telling)
