"""The grid as a lattice: which homography takes the picture to grid coordinates.

A grid seen through a camera is two families of lines, u(x, y) = const and v(x, y) = const, with

    u = (a . p) / (1 + g . p),   v = (b . p) / (1 + g . p),   p = (x, y) from the picture's centre,

that is, a homography. Its gradients are the local frequencies of the two families. They are measured tile by tile,
first as peaks of each tile's spectrum, then, on the rectified picture, as the phase that is left from one tile to the
next, which is exact to a small fraction of a line's width. Six numbers are fitted robustly to all tiles at once, so a
grid that is torn, shadowed or hidden in places is still measured coherently over the whole page.

u and v count periods of the strongest component of the grid, which may be the 1 mm lines, the 5 mm lines or a
harmonic of either: how many millimetres a period is, is decided in pitch.py, not here.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Complex64, Float32, Float64, UInt8

from ecg_flare.digitize.light import darkness
from ecg_flare.digitize.pitch import tile_amplitudes

WORK_SIZE_PX = 1280  # the lattice is sought on a copy this long: 1 mm of a whole page is still about 4 pixels there
_TILE_PX = 256
_PEAK_LOG_POWER = 2.5  # a peak stands e**2.5 over the spectrum's level at its radius
_PEAKS_PER_TILE = 14
_RECTIFIED_PERIOD_PX = 6.0
_PHASE_TILE_PERIODS = 12  # a tile of the phase map, in periods
_REFINEMENTS = 4


@dataclass(frozen=True, eq=False)
class Lattice:
    """The grid's geometry in one picture.

    Attributes:
        to_grid: homography, picture pixel -> (u, v) in periods of the strongest component.
        strength: 0 to 1, the part of the tiles that hold both families of lines.
        bend_periods: how far (90th percentile) the paper's grid lies from the fitted plane, in periods.
    """

    to_grid: Float64[np.ndarray, "3 3"]
    strength: float
    bend_periods: float


@dataclass(frozen=True, eq=False)
class _Gradients:
    """Local frequencies of one family of lines, in cycles per pixel."""

    at: Float64[np.ndarray, "n 2"]
    value: Float64[np.ndarray, "n 2"]
    weight: Float64[np.ndarray, " n"]


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
    coarse = _spectral_gradients(signal)
    if coarse is None:
        return None
    u, v, strength = coarse
    centre = np.array([(signal.shape[1] - 1) / 2, (signal.shape[0] - 1) / 2])
    to_grid = _fit(u, v, centre)
    bend = 0.0
    for _ in range(_REFINEMENTS):
        refined = _refine(signal, to_grid)
        if refined is None:
            break
        to_grid, bend = refined
    return Lattice(to_grid=to_grid @ _shrink(scale), strength=strength, bend_periods=bend)


def _shrink(scale: float) -> Float64[np.ndarray, "3 3"]:
    # Pixel centres are at whole numbers, so shrinking by s takes x to s*(x + 1/2) - 1/2.
    offset = scale / 2 - 0.5
    return np.array([[scale, 0.0, offset], [0.0, scale, offset], [0.0, 0.0, 1.0]])


# --- peaks of the tiles' spectra ------------------------------------------------------------------------------------


def _spectral_gradients(signal: Float32[np.ndarray, "h w"]) -> tuple[_Gradients, _Gradients, float] | None:
    """Frequencies of the two families from the tiles' spectra, and the part of tiles that show both."""
    tiles, centres = _tiles(signal)
    peaks = _spectrum_peaks(tiles)
    if len(peaks) == 0:
        return None
    best = _best_family(peaks)
    if best is None:
        return None
    along = _members(peaks, best)
    across = _members(peaks, np.array([-best[1], best[0]]))
    if abs(best[1]) > abs(best[0]):  # the family whose frequency points along x is u
        along, across = across, along
    both = len(set(along[:, 0]) & set(across[:, 0])) / len(tiles)
    if len(along) < 2 or len(across) < 2 or both < 0.1:
        return None
    return _gradients(along, centres, axis=0), _gradients(across, centres, axis=1), both


def _tiles(signal: Float32[np.ndarray, "h w"]) -> tuple[Float32[np.ndarray, "n t t"], Float64[np.ndarray, "n 2"]]:
    height, width = signal.shape
    side = int(min(_TILE_PX, max(96, min(height, width) // 2), height, width)) // 2 * 2
    tops = np.unique(np.linspace(0, height - side, max(1, round(2 * height / side) - 1)).astype(int))
    lefts = np.unique(np.linspace(0, width - side, max(1, round(2 * width / side) - 1)).astype(int))
    tiles = np.stack([signal[top : top + side, left : left + side] for top in tops for left in lefts])
    middle = (side - 1) / 2
    centres = np.array([(left + middle, top + middle) for top in tops for left in lefts], np.float64)
    return tiles, centres


def _spectrum_peaks(tiles: Float32[np.ndarray, "n t t"]) -> Float64[np.ndarray, "k 4"]:
    """Peaks as rows (tile, fx, fy, log power over the background), each with fx > |fy| or fy >= |fx|."""
    side = tiles.shape[1]
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    frequency_y = np.fft.fftshift(np.fft.fftfreq(side))
    frequency_x = np.fft.rfftfreq(side)
    radius = np.hypot(frequency_x[None, :], frequency_y[:, None])
    usable = (radius > 4.0 / side) & (radius < 0.47)
    rings = np.minimum((radius * side).astype(int), side // 2)
    rows = []
    for index, tile in enumerate(tiles):
        power = np.abs(np.fft.fftshift(np.fft.rfft2((tile - tile.mean()) * window), axes=0)) ** 2
        log_power = np.log(power + 1e-9).astype(np.float32)
        excess = log_power - _ring_level(log_power, rings)
        top = (excess >= cv2.dilate(excess, np.ones((5, 5), np.uint8))) & usable & (excess > _PEAK_LOG_POWER)
        ys, xs = np.nonzero(top)
        order = np.argsort(-excess[ys, xs])[:_PEAKS_PER_TILE]
        for y, x in zip(ys[order], xs[order], strict=True):
            fx, fy = _interpolate(log_power, y, x, side)
            if x == 0 and fy < 0:
                continue
            rows.append((float(index), fx, fy, float(excess[y, x])))
    return np.array(rows, np.float64).reshape(-1, 4)


def _ring_level(
    log_power: Float32[np.ndarray, "t f"], rings: np.ndarray[tuple[int, int], np.dtype[np.int64]]
) -> Float32[np.ndarray, "t f"]:
    # The mean of the logarithm, not of the power: a few strong peaks must not lift their own background.
    counts = np.bincount(rings.ravel())
    sums = np.bincount(rings.ravel(), log_power.ravel())
    level = (sums / np.maximum(counts, 1)).astype(np.float32)
    ring_of: Float32[np.ndarray, "t f"] = level[rings]
    return ring_of


def _interpolate(log_power: Float32[np.ndarray, "t f"], y: int, x: int, side: int) -> tuple[float, float]:
    """Frequency of a peak below the bin's width: a parabola through the log power is exact for a Gaussian window."""

    def offset(below: float, at: float, above: float) -> float:
        curve = below - 2 * at + above
        return 0.0 if curve >= 0 else float(np.clip((below - above) / (2 * curve), -0.5, 0.5))

    rows, columns = log_power.shape
    dy = offset(log_power[(y - 1) % rows, x], log_power[y, x], log_power[(y + 1) % rows, x])
    left = log_power[y, x - 1] if x > 0 else log_power[-y % rows, 1]  # the spectrum of a real signal is symmetric
    dx = offset(left, log_power[y, x], log_power[y, min(x + 1, columns - 1)])
    return (x + dx) / side, (y - side // 2 + dy) / side


def _best_family(peaks: Float64[np.ndarray, "k 4"]) -> Float64[np.ndarray, " 2"] | None:
    """Frequency vector whose neighbourhood, and whose perpendicular's, hold the most peak power over all tiles."""
    radius = np.log(np.hypot(peaks[:, 1], peaks[:, 2]))
    angle = np.arctan2(peaks[:, 2], peaks[:, 1])
    weight = peaks[:, 3]
    starts = np.unique(peaks[:, 0], return_index=True)[1]
    apart = radius[:, None] - radius[None, :]
    turn = angle[:, None] - angle[None, :]
    near = np.exp(-0.5 * (apart / 0.05) ** 2)
    # One vote a tile, its best: many weak peaks close together must not outvote a strong one.
    along = _votes(near * np.exp(-0.5 * (np.sin(turn) / 0.06) ** 2) * weight, starts)
    wide = np.exp(-0.5 * (apart / 0.10) ** 2)  # paper can be printed with other scales along and across
    across = _votes(wide * np.exp(-0.5 * (np.cos(turn) / 0.06) ** 2) * weight, starts)
    # Low frequencies carry the same lines as their harmonics but with less blur: they win near ties.
    score = np.sqrt(along * across) * np.exp(-0.5 * radius)
    best = int(np.argmax(score))
    if across[best] <= 0.0:
        return None
    inside = (near[best] * np.exp(-0.5 * (np.sin(turn[best]) / 0.06) ** 2)) * weight
    sign = np.where(np.cos(turn[best]) < 0, -1.0, 1.0)
    mean: Float64[np.ndarray, " 2"] = (inside * sign) @ peaks[:, 1:3] / inside.sum()
    return mean


def _votes(
    closeness: Float64[np.ndarray, "k k"], starts: np.ndarray[tuple[int], np.dtype[np.intp]]
) -> Float64[np.ndarray, " k"]:
    votes: Float64[np.ndarray, " k"] = np.maximum.reduceat(closeness, starts, axis=1).sum(axis=1)
    return votes


def _members(peaks: Float64[np.ndarray, "k 4"], family: Float64[np.ndarray, " 2"]) -> Float64[np.ndarray, "m 4"]:
    """The strongest peak of each tile that belongs to a family, its sign turned to the family's."""
    length = np.hypot(*family)
    dot = peaks[:, 1:3] @ family / length
    radius = np.hypot(peaks[:, 1], peaks[:, 2])
    near = (np.abs(np.log(radius / length)) < 0.22) & (np.abs(dot) > np.cos(np.radians(16)) * radius)
    chosen = peaks[near] * np.where(dot[near] < 0, -1.0, 1.0)[:, None] ** np.array([0, 1, 1, 0])
    chosen = chosen[np.argsort(-chosen[:, 3])]
    _, first = np.unique(chosen[:, 0], return_index=True)
    members: Float64[np.ndarray, "m 4"] = chosen[first]
    return members


def _gradients(members: Float64[np.ndarray, "m 4"], centres: Float64[np.ndarray, "n 2"], axis: int) -> _Gradients:
    value = members[:, 1:3].copy()
    value[value[:, axis] < 0] *= -1.0  # u grows to the right, v downwards
    return _Gradients(centres[members[:, 0].astype(int)], value, members[:, 3])


# --- the homography ---------------------------------------------------------------------------------------------


def _fit(u: _Gradients, v: _Gradients, centre: Float64[np.ndarray, " 2"]) -> Float64[np.ndarray, "3 3"]:
    """Homography whose local frequencies are nearest to the measured ones (iteratively reweighted least squares)."""
    size = max(float(np.abs(u.at - centre).max()), float(np.abs(v.at - centre).max()), 1.0)
    start_u, start_v = np.median(u.value, axis=0), np.median(v.value, axis=0)
    unit = float(np.hypot(*start_u))

    def residuals(params: Float64[np.ndarray, "6"]) -> Float64[np.ndarray, " m"]:
        parts = []
        for family, direction in ((u, params[0:2]), (v, params[2:4])):
            p = (family.at - centre) / size
            bottom = 1.0 + p @ params[4:6]
            model = direction / bottom[:, None] - params[4:6] * (p @ direction / bottom**2)[:, None]
            parts.append((model - family.value / unit).ravel())
        return np.concatenate(parts)

    weights = np.repeat(np.concatenate([u.weight, v.weight]), 2)
    params = np.concatenate([start_u / unit, start_v / unit, np.zeros(2)])
    for _ in range(12):
        at = residuals(params)
        steps = 1e-6 * np.eye(6)
        jacobian = np.stack([(residuals(params + step) - at) / 1e-6 for step in steps], axis=1)
        spread = max(1.4826 * float(np.median(np.abs(at))), 1e-7)
        robust = weights / (1.0 + (at / (2.0 * spread)) ** 2)
        normal = jacobian.T @ (robust[:, None] * jacobian)
        change = np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(6), -jacobian.T @ (robust * at))
        params = params + change
        if np.abs(change).max() < 1e-9:
            break
    shift = np.array([[1.0, 0.0, -centre[0]], [0.0, 1.0, -centre[1]], [0.0, 0.0, 1.0]])
    to_grid = np.array([[*(params[0:2] * unit), 0.0], [*(params[2:4] * unit), 0.0], [*(params[4:6] / size), 1.0]])
    fitted: Float64[np.ndarray, "3 3"] = to_grid @ shift
    return fitted


# --- phases on the rectified picture ----------------------------------------------------------------------------


def _refine(
    signal: Float32[np.ndarray, "h w"], to_grid: Float64[np.ndarray, "3 3"]
) -> tuple[Float64[np.ndarray, "3 3"], float] | None:
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
    u, bend_u = _phase_gradients(rectified, seen, period)
    v_turned, bend_v = _phase_gradients(rectified.T, seen.T, period)
    if len(u.at) < 3 or len(v_turned.at) < 3:
        return None
    v = _Gradients(v_turned.at[:, ::-1], v_turned.value[:, ::-1], v_turned.weight)
    correction = _fit(u, v, (size - 1) / 2.0)
    refined = correction @ to_rectified
    return refined / refined[2, 2], max(bend_u, bend_v)


def _phase_gradients(
    rectified: Float32[np.ndarray, "h w"], seen: Float32[np.ndarray, "h w"], period: float
) -> tuple[_Gradients, float]:
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
    bend = float(np.quantile(np.abs(np.concatenate([right[both], down[both]])), 0.9)) if both.any() else 0.0
    return _Gradients(at, value, np.abs(amplitude[both]).astype(np.float64)), bend


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
