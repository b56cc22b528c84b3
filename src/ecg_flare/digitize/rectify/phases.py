"""A homography made better: the phases that the grid's lines still have on the picture that it rectifies.

On a rectified picture the lines of a plane grid stand still, so that the phase from one tile to the next is what the
homography is wrong by there, exact to a small fraction of a line's width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Complex64, Float32, Float64

from ecg_flare.digitize.rectify.plane import Gradients, fit_homography
from ecg_flare.digitize.rectify.tiles import tile_amplitudes

_RECTIFIED_PERIOD_PX: Final = 6.0
TILE_PERIODS: Final = 12  # a tile of the phase map, in periods


@dataclass(frozen=True, eq=False)
class Refined:
    """A better homography; jitter is the median phase left in the worse of the families, bend the 90th percentile."""

    to_grid: Float64[np.ndarray, "3 3"]
    jitter: float
    bend: float
    extent: tuple[float, float, float, float]


def refine_homography(signal: Float32[np.ndarray, "h w"], to_grid: Float64[np.ndarray, "3 3"]) -> Refined | None:
    """Better homography from the phases left after rectifying by this one, and how bent the paper is."""
    height, width = signal.shape
    corners = np.array([[[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]], np.float64)
    if ((corners[0] @ to_grid[2, :2] + to_grid[2, 2]) < 0.2).any():
        return None  # the horizon comes near the picture: not a plane page, the spectra were misread
    grid_corners = cv2.perspectiveTransform(corners, to_grid)[0]
    low, high = grid_corners.min(axis=0), grid_corners.max(axis=0)
    period = _RECTIFIED_PERIOD_PX
    size = np.ceil((high - low) * period).astype(int)
    if (size > 6 * max(height, width)).any() or (size < 2 * period * TILE_PERIODS).any():
        return None
    to_rectified = np.array([[period, 0, -low[0] * period], [0, period, -low[1] * period], [0, 0, 1.0]]) @ to_grid
    rectified = cv2.warpPerspective(signal, to_rectified, (int(size[0]), int(size[1])), flags=cv2.INTER_AREA)
    seen = cv2.warpPerspective(np.ones_like(signal), to_rectified, (int(size[0]), int(size[1])))
    across = _phase_gradients(rectified, seen, period)
    down = _phase_gradients(rectified.T, seen.T, period)
    if len(across.gradients.at) < 3 or len(down.gradients.at) < 3:
        return None
    turned = down.gradients
    v = Gradients(turned.at[:, ::-1], turned.value[:, ::-1], turned.weight)
    correction = fit_homography(across.gradients, v, (size - 1) / 2.0)
    refined = correction @ to_rectified
    refined = refined / refined[2, 2]
    left = np.abs(np.concatenate([across.left, down.left]))
    jitter = max(float(np.median(np.abs(family.left))) for family in (across, down))
    box = _extent(across.strong & down.strong.T, round(period * TILE_PERIODS))
    ends = cv2.perspectiveTransform(np.array([box]), correction / correction[2, 2])[0]
    extent = (float(ends[0, 0]), float(ends[1, 0]), float(ends[0, 1]), float(ends[1, 1]))
    return Refined(refined, jitter, float(np.quantile(left, 0.9)), extent)


@dataclass(frozen=True, eq=False)
class _Phases:
    """Gradients across x on a rectified picture, the phases left between tiles, and the tiles that show lines."""

    gradients: Gradients
    left: Float64[np.ndarray, " n"]
    strong: Bool[np.ndarray, "r c"]


def _phase_gradients(rectified: Float32[np.ndarray, "h w"], seen: Float32[np.ndarray, "h w"], period: float) -> _Phases:
    """Frequencies of the lines across x, from the phase differences of neighbouring tiles."""
    side = round(period * TILE_PERIODS)
    rows, columns = rectified.shape[0] // side, rectified.shape[1] // side
    area = (slice(0, rows * side), slice(0, columns * side))
    amplitude = tile_amplitudes(rectified, period, side)
    whole = seen[area].reshape(rows, side, columns, side).mean(axis=(1, 3)) > 0.95
    strong = whole & (np.abs(amplitude) > 0.3 * np.median(np.abs(amplitude[whole]))) if whole.any() else whole
    right = _differences(amplitude, strong, axis=1)
    down = _differences(amplitude, strong, axis=0)
    both = ~np.isnan(right) & ~np.isnan(down)
    ys, xs = np.nonzero(both)
    value = np.stack([1.0 / period + right[both] / side, down[both] / side], axis=1)
    at = np.stack([(xs + 1.0) * side, (ys + 0.5) * side], axis=1).astype(np.float64)
    gradients = Gradients(at, value, np.abs(amplitude[both]).astype(np.float64))
    return _Phases(gradients, np.concatenate([right[both], down[both]]), strong)


def _differences(
    amplitude: Complex64[np.ndarray, "r c"], strong: Bool[np.ndarray, "r c"], axis: int
) -> Float64[np.ndarray, "r c"]:
    """Cycles from each tile to the next one along an axis; NaN where either is weak."""
    result = np.full(amplitude.shape, np.nan)
    if amplitude.shape[axis] < 2:
        return result
    first = (slice(0, -1), slice(None)) if axis == 0 else (slice(None), slice(0, -1))
    second = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
    turned = np.angle(amplitude[second] * np.conj(amplitude[first])) / (2 * np.pi)
    result[first] = np.where(strong[first] & strong[second], turned, np.nan)
    return result


def _extent(strong: Bool[np.ndarray, "r c"], side: int) -> Float64[np.ndarray, "2 2"]:
    """First and last corner of the area where tiles show the grid, in pixels of the rectified picture."""
    rows, columns = np.flatnonzero(strong.sum(axis=1) > 1), np.flatnonzero(strong.sum(axis=0) > 1)
    if len(rows) == 0 or len(columns) == 0:
        rows, columns = np.arange(strong.shape[0]), np.arange(strong.shape[1])
    return side * np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], np.float64)
