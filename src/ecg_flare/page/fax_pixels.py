"""Faxes whose dots are no squares: Group 3 machines store 204 dots an inch along a line, and 98 lines an inch.

A TIFF of one bit says both (ITU-T T.4, TIFF-F). Its lines are repeated, as viewers of faxes show them: otherwise a
millimetre down the page would have half the pixels of one along it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

SQUARE: Final = 1.2
"""Dots that are no more oblong are taken as they are: a "fine" fax has 204 by 196."""

MOST_OBLONG: Final = 4.0
"""A file that says more is not believed."""


def dots_a_line(picture: Image.Image) -> float:
    """Return how many times as dense a picture's dots stand along a line as its lines; 1 for all but oblong faxes."""
    stated = picture.info.get("dpi") or picture.info.get("resolution")
    if picture.format != "TIFF" or picture.mode != "1" or not isinstance(stated, tuple) or len(stated) != 2:
        return 1.0
    try:
        along, down = (float(value) for value in stated)
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0
    if not (math.isfinite(along) and math.isfinite(down) and along > 0 and down > 0):
        return 1.0
    ratio = along / down
    return ratio if SQUARE < ratio < MOST_OBLONG else 1.0


def with_square_dots(image: UInt8[np.ndarray, "h w 3"], ratio: float) -> UInt8[np.ndarray, "h2 w 3"]:
    """Return a picture with its lines repeated `ratio` times, each where it stood."""
    height = round(len(image) * ratio)
    lines = ((np.arange(height) + 0.5) * len(image) / height).astype(int)
    repeated: UInt8[np.ndarray, "h2 w 3"] = image[lines]
    return repeated
