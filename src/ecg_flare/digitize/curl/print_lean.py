"""How the print of a page leans on its grid: the slope of what is printed upright, against the grid's upright lines.

Paper whose grid was printed before is fed a little askew, or the print head stands askew: separators, pulses and QRS
complexes then lean by up to a degree, and the rows of a page stand up to 100 ms aside of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.rectify.grid_lines import upright_lines
from ecg_flare.digitize.rectify.light import ink_darkness

_MOST: Final = 0.026  # 1.5 degrees
_STEP: Final = 0.0005
_FULL_INK: Final = 0.997  # quantile of darkness
_GRID: Final = 1.2  # what the grid's lines explain is taken off this many times
_FAINT, _DARK = 0.15, 0.6
_LEVEL: Final = 1.5  # strokes are darker than this many times their surroundings to the left and right
_SUB: Final = 4  # columns of the profile, a pixel
_STANDING: Final = 8  # uprights that stand out most
_LEAST_INK: Final = 0.1


@dataclass(frozen=True)
class Lean:
    """Slope dx/dy of what is printed upright; `strength` is by how much it stands out over other slopes (1: not)."""

    slope: float
    strength: float


def print_lean(image: np.ndarray, px_per_mm: float) -> Lean:
    """Measure how the print of a flat page leans; `image` is RGB, its grid's lines upright."""
    from scipy.ndimage import gaussian_filter1d

    strokes = _upright_strokes(ink_darkness(image, px_per_mm), px_per_mm)
    slopes = np.arange(-_MOST, _MOST + _STEP / 2, _STEP)
    rows, columns = np.nonzero(strokes > _LEAST_INK)
    weights = np.minimum(strokes[rows, columns], _DARK).astype(np.float64)
    sharpness = np.array(
        [_sharpness(columns - slope * (rows - strokes.shape[0] / 2), weights, strokes.shape[1]) for slope in slopes]
    )
    sharpness = gaussian_filter1d(sharpness, 1.0)
    best = int(sharpness.argmax())
    offset = 0.0
    if 0 < best < len(slopes) - 1:
        before, at, after = sharpness[best - 1 : best + 2]
        offset = 0.5 * (before - after) / min(before - 2 * at + after, -1e-12)
    return Lean(float(slopes[best] + offset * _STEP), float(sharpness.max() / max(np.median(sharpness), 1e-12)))


def _upright_strokes(dark: Float32[np.ndarray, "h w"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    full = max(float(np.quantile(dark, _FULL_INK)), 1e-6)
    ink = np.clip(dark / np.float32(full), 0.0, 1.0)
    ink = np.clip((ink - _GRID * upright_lines(ink, px_per_mm) - _FAINT) / _DARK, 0.0, 1.0)
    strokes: Float32[np.ndarray, "h w"] = np.clip(ink - _LEVEL * cv2.blur(ink, (9, 1)), 0.0, 1.0)
    return strokes


def _sharpness(places: Float64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"], width: int) -> float:
    """Energy of the highest peaks of the ink's profile along x."""
    from scipy.ndimage import gaussian_filter1d

    margin = 200
    at = (places + margin) * _SUB
    whole = np.floor(at).astype(int)
    part = at - whole
    count = _SUB * (width + 2 * margin)
    whole = np.clip(whole, 0, count)
    profile = np.bincount(whole, weights * (1 - part), count + 2) + np.bincount(whole + 1, weights * part, count + 2)
    profile = gaussian_filter1d(profile, 2.0)
    peaks = profile[1:-1][(profile[1:-1] > profile[:-2]) & (profile[1:-1] >= profile[2:])]
    return float((np.sort(peaks)[-_STANDING:] ** 2).sum())
