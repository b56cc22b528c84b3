"""The grid's frequencies in each part of a picture: peaks of the spectra of overlapping tiles.

Lines that repeat give sharp peaks, at their frequency and its multiples. Over the whole page one pair of perpendicular
frequencies wins, by the peaks of all tiles near it; each tile then tells its own, which differ where the camera saw the
page from an angle.
"""

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.rectify.plane import Gradients

_TILE_PX = 256
_PEAK_LOG_POWER = 2.5  # a peak stands e**2.5 over the spectrum's level at its radius
_PEAKS_PER_TILE = 14


def spectral_gradients(signal: Float32[np.ndarray, "h w"]) -> tuple[Gradients, Gradients, float] | None:
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


def _gradients(members: Float64[np.ndarray, "m 4"], centres: Float64[np.ndarray, "n 2"], axis: int) -> Gradients:
    value = members[:, 1:3].copy()
    value[value[:, axis] < 0] *= -1.0  # u grows to the right, v downwards
    return Gradients(centres[members[:, 0].astype(int)], value, members[:, 3])
