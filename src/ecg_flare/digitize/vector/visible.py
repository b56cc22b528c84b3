"""Whether the picture of a page shows the traces that its file draws: they may be hidden, or as white as the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from ecg_flare.digitize.vector.strokes import Stroke

_STEP_PX: Final = 2.0
_LIKE: Final = 110
"""By which a pixel beside a thin line's own differs from its colour at the most, in any of red, green and blue."""

_UNLIKE: Final = 60
"""By which the line's colour differs from that of the paper at the least."""


def visible_share(image: UInt8[np.ndarray, "h w 3"], strokes: Sequence[Stroke]) -> float:
    """Share of the lines' length, by x, at which the picture (RGB) has their colour, and this is not the paper's."""
    paper = np.median(image[::7, ::7].reshape(-1, 3), axis=0)
    seen = [_seen(image, stroke, paper) for stroke in strokes]
    return float(np.concatenate(seen).mean()) if seen else 0.0


def _seen(image: UInt8[np.ndarray, "h w 3"], stroke: Stroke, paper: np.ndarray) -> Bool[np.ndarray, " n"]:
    x = np.arange(stroke.left, stroke.right, _STEP_PX)
    y = np.interp(x, stroke.points[:, 0], stroke.points[:, 1])
    if np.abs(paper - stroke.colour).max() < _UNLIKE:
        return np.zeros(len(x), bool)
    places: Int64[np.ndarray, "n 2"] = np.round(np.stack([x, y], axis=1)).astype(int)
    height, width = image.shape[:2]
    inside = (places >= 1).all(axis=1) & (places[:, 0] < width - 1) & (places[:, 1] < height - 1)
    shown = np.zeros(len(x), bool)
    for number in np.flatnonzero(inside):
        column, row = places[number]
        around = image[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3).astype(int)
        shown[number] = bool((np.abs(around - stroke.colour).max(axis=1) < _LIKE).any())
    return shown
