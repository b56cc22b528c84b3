"""The segmenter that needs no learning.

It tells ink from grid by colour where there is colour and by its regular lines where there is none, and tells trace
from print by the size and shape of what hangs together.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from ecg_flare.digitize.ink.long_lines import long_lines
from ecg_flare.digitize.ink.pieces import name_pieces, spread_names
from ecg_flare.digitize.ink.probabilities import Probabilities
from ecg_flare.digitize.rectify.grid_lines import straight_line_darkness
from ecg_flare.digitize.rectify.light import ink_darkness
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, Label

INK_FLOOR: Final = 0.10  # darkness that paper noise and JPEG blocks reach
FAINT: Final = 0.25  # of full ink: a hair line averaged to 4 px/mm
STRONG: Final = 0.45


def classical_segmenter(image: UInt8[np.ndarray, "h w 3"]) -> Probabilities:
    """Segment a page at NORMALIZED_PX_PER_MM without learning; returns class probabilities in the order of `Label`.

    Pulses stay with the trace that they stand beside: `trace.page_span` cuts them off by their shape.
    """
    px_per_mm = NORMALIZED_PX_PER_MM
    dark = ink_darkness(image, px_per_mm)
    grid = straight_line_darkness(dark, px_per_mm)
    ink = np.clip((dark - grid) / np.maximum(1.0 - grid, 0.15), 0.0, 1.0)
    level = _ink_level(ink)
    probabilities = np.zeros((len(Label), *dark.shape), np.float32)
    if level == 0.0:
        probabilities[Label.BACKGROUND] = 1.0
        return probabilities
    strength = 1.0 / (1.0 + np.exp(-(ink / level - FAINT) / 0.05))
    mask = _hysteresis(ink / level, FAINT, STRONG)
    lines = long_lines(mask, px_per_mm)
    named = name_pieces(mask & ~lines, px_per_mm)
    named[lines] = int(Label.PRINT)
    spread = spread_names(named)
    for label in (Label.TRACE, Label.PRINT):
        probabilities[label] = np.where(spread == int(label), strength, 0.0)
    probabilities[Label.BACKGROUND] = 1.0 - probabilities[1:].sum(axis=0)
    return probabilities


def _ink_level(ink: Float32[np.ndarray, "h w"]) -> float:
    """Return the darkness of full ink: the mean of the upper class by Otsu's threshold over what is not paper."""
    values = ink[ink > INK_FLOOR]
    if values.size < 50:
        return 0.0
    scaled = np.clip(values * 255, 0, 255).astype(np.uint8).reshape(-1, 1)
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float(values[values * 255 >= threshold].mean())


def _hysteresis(ink: Float32[np.ndarray, "h w"], low: float, high: float) -> Bool[np.ndarray, "h w"]:
    """Return the ink above `low` in pieces that reach `high` somewhere."""
    weak = (ink > low).astype(np.uint8)
    count, pieces = cv2.connectedComponents(weak, connectivity=8)
    strong = np.zeros(count, bool)
    strong[np.unique(pieces[ink > high])] = True
    strong[0] = False
    kept: Bool[np.ndarray, "h w"] = strong[pieces]
    return kept
