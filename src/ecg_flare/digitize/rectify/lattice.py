"""The grid as a lattice: which homography takes the picture to grid coordinates.

A grid seen through a camera is two families of lines, u(x, y) = const and v(x, y) = const (plane.py). Their local
frequencies are measured tile by tile, first as peaks of each tile's spectrum (spectrum.py), then, on the rectified
picture, as the phase that is left from one tile to the next, which is exact to a small fraction of a line's width. One
homography is fitted to all tiles at once, so a grid that is torn, shadowed or hidden in places is still measured
coherently over the whole page.

u and v count periods of the strongest component of the grid, which may be the 1 mm lines, the 5 mm lines or a
harmonic of either: how many millimetres a period is, is decided in pitch.py, not here.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Complex64, Float32, Float64, UInt8

from ecg_flare.digitize.measure.pitch import tile_amplitudes
from ecg_flare.digitize.rectify.light import darkness
from ecg_flare.digitize.rectify.plane import Gradients, fit_homography
from ecg_flare.digitize.rectify.spectrum import spectral_gradients

WORK_SIZE_PX = 1280  # the lattice is sought on a copy this long: 1 mm of a whole page is still about 4 pixels there
_RECTIFIED_PERIOD_PX = 6.0
_PHASE_TILE_PERIODS = 12  # a tile of the phase map, in periods
_REFINEMENTS = 4
_MAX_JITTER = 0.15  # phases of what is no grid differ from tile to tile by a quarter of a period, at the median


@dataclass(frozen=True, eq=False)
class Lattice:
    """The grid's geometry in one picture.

    Attributes:
        to_grid: homography, picture pixel -> (u, v) in periods of the strongest component.
        strength: 0 to 1, the part of the tiles that hold both families of lines.
        bend_periods: how far (90th percentile) the grid moves off the fitted plane from tile to tile, in periods.
        extent: least and greatest u, then v, where the grid was seen.
    """

    to_grid: Float64[np.ndarray, "3 3"]
    strength: float
    bend_periods: float
    extent: tuple[float, float, float, float]


def grid_signal(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Darkness of the grid, 0 to 1: ink darker than the grid is clipped, so that traces and print weigh no more."""
    dark = darkness(image)
    cap = max(float(np.quantile(dark[::3, ::3], 0.95)), 0.03)
    signal: Float32[np.ndarray, "h w"] = np.minimum(dark, cap) / np.float32(cap)
    return signal


def find_lattice(image: UInt8[np.ndarray, "h w 3"]) -> Lattice | None:
    """Measure the grid's homography; None when no two crossing families of lines repeat over the page."""
    scale = min(1.0, WORK_SIZE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
    signal = grid_signal(small)
    coarse = spectral_gradients(signal)
    if coarse is None:
        return None
    u, v, strength = coarse
    centre = np.array([(signal.shape[1] - 1) / 2, (signal.shape[0] - 1) / 2])
    to_grid = fit_homography(u, v, centre)
    refined = None
    for _ in range(_REFINEMENTS):
        refined = _refine(signal, to_grid)
        if refined is None:
            return None
        to_grid = refined.to_grid
    if refined is None or refined.jitter > _MAX_JITTER:
        return None
    return Lattice(to_grid @ _shrink(scale), strength, refined.bend, refined.extent)


@dataclass(frozen=True, eq=False)
class _Refined:
    """A better homography; jitter is the median phase left in the worse of the families, bend the 90th percentile."""

    to_grid: Float64[np.ndarray, "3 3"]
    jitter: float
    bend: float
    extent: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class _Phases:
    """Gradients across x on a rectified picture, the phases left between tiles, and the tiles that show lines."""

    gradients: Gradients
    left: Float64[np.ndarray, " n"]
    strong: Bool[np.ndarray, "r c"]


def _shrink(scale: float) -> Float64[np.ndarray, "3 3"]:
    # Pixel centres are at whole numbers, so shrinking by s takes x to s*(x + 1/2) - 1/2.
    offset = scale / 2 - 0.5
    return np.array([[scale, 0.0, offset], [0.0, scale, offset], [0.0, 0.0, 1.0]])


def _refine(signal: Float32[np.ndarray, "h w"], to_grid: Float64[np.ndarray, "3 3"]) -> _Refined | None:
    """Better homography from the phases left after rectifying by this one, and how bent the paper is."""
    height, width = signal.shape
    corners = np.array([[[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]], np.float64)
    if ((corners[0] @ to_grid[2, :2] + to_grid[2, 2]) < 0.2).any():
        return None  # the horizon comes near the picture: not a plane page, the spectra were misread
    grid_corners = cv2.perspectiveTransform(corners, to_grid)[0]
    low, high = grid_corners.min(axis=0), grid_corners.max(axis=0)
    period = _RECTIFIED_PERIOD_PX
    size = np.ceil((high - low) * period).astype(int)
    if (size > 6 * max(height, width)).any() or (size < 2 * period * _PHASE_TILE_PERIODS).any():
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
    box = _extent(across.strong & down.strong.T, round(period * _PHASE_TILE_PERIODS))
    ends = cv2.perspectiveTransform(np.array([box]), correction / correction[2, 2])[0]
    extent = (float(ends[0, 0]), float(ends[1, 0]), float(ends[0, 1]), float(ends[1, 1]))
    return _Refined(refined, jitter, float(np.quantile(left, 0.9)), extent)


def _extent(strong: Bool[np.ndarray, "r c"], side: int) -> Float64[np.ndarray, "2 2"]:
    """First and last corner of the area where tiles show the grid, in pixels of the rectified picture."""
    rows, columns = np.flatnonzero(strong.sum(axis=1) > 1), np.flatnonzero(strong.sum(axis=0) > 1)
    if len(rows) == 0 or len(columns) == 0:
        rows, columns = np.arange(strong.shape[0]), np.arange(strong.shape[1])
    return side * np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], np.float64)


def _phase_gradients(rectified: Float32[np.ndarray, "h w"], seen: Float32[np.ndarray, "h w"], period: float) -> _Phases:
    """Frequencies of the lines across x, from the phase differences of neighbouring tiles."""
    side = round(period * _PHASE_TILE_PERIODS)
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
