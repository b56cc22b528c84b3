"""Ink that is ruled and not drawn: a page of which nothing but the grid was taken for trace."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from ecg_flare.digitize.units import PxPerMm

_INKED: Final = 0.5
_RULED_MM: Final = 40.0  # a straight run this long, level or upright, is ruled: no stroke of a trace is
_MOST_LINES: Final = 30  # of ink, one below the other, at the median of the columns: twelve rows have half as many
_MOST: Final = 0.15  # of the ink in upright runs, and as much in level ones: a trace has neither


def is_ruled(ink: Float32[np.ndarray, "h w"], scale: PxPerMm) -> bool:
    """Whether the ink is a grid: more lines than pages have rows, or long straight runs both ways.

    `ink` is 0 (paper) to 1. A grid may lie askew on a page that was taken to be turned.
    """
    inked = (ink > _INKED).astype(np.uint8)
    whole = cv2.countNonZero(inked)
    if whole == 0:
        return False
    lines = (np.diff(inked, axis=0, prepend=0) == 1).sum(axis=0)
    if float(np.median(lines[lines > 0])) > _MOST_LINES:
        return True
    kernels = (np.ones((round(_RULED_MM * scale.y), 1), np.uint8), np.ones((1, round(_RULED_MM * scale.x)), np.uint8))
    runs = (cv2.countNonZero(cv2.morphologyEx(inked, cv2.MORPH_OPEN, kernel)) for kernel in kernels)
    return all(count > _MOST * whole for count in runs)
