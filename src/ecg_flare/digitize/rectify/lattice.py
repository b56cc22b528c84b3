"""The grid as a lattice: which homography takes the picture to grid coordinates.

A grid seen through a camera is two families of lines, u(x, y) = const and v(x, y) = const (plane.py). Their local
frequencies are measured tile by tile, first as peaks of each tile's spectrum (spectrum.py), then, on the rectified
picture, as the phase that is left from one tile to the next (phases.py). One homography is fitted to all tiles at once,
so a grid that is torn, shadowed or hidden in places is still measured coherently over the whole page.

u and v count periods of the strongest component of the grid, which may be the 1 mm lines, the 5 mm lines or a
harmonic of either: how many millimetres a period is, is decided in measure/pitch.py, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ecg_flare.digitize.rectify.light import grid_darkness
from ecg_flare.digitize.rectify.phases import refine_homography
from ecg_flare.digitize.rectify.plane import fit_homography
from ecg_flare.digitize.rectify.spectrum import spectral_gradients
from ecg_flare.page.truth import scaling

WORK_SIZE_PX: Final = 1280
"""The lattice is sought on a copy this long: 1 mm of a whole page is still about 4 pixels there."""
_REFINEMENTS: Final = 4
_MAX_JITTER: Final = 0.15  # phases of what is no grid differ from tile to tile by a quarter of a period, at the median
_SURE_STRENGTH: Final = 0.8  # only a grid shows both families in so many tiles, whatever the phases of bent paper


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
        refined = refine_homography(signal, to_grid)
        if refined is None:
            return None
        to_grid = refined.to_grid
    if refined is None or (refined.jitter > _MAX_JITTER and strength < _SURE_STRENGTH):
        return None
    return Lattice(to_grid @ scaling(scale, scale), strength, refined.bend, refined.extent)


def grid_signal(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Darkness of the grid, 0 to 1: ink darker than the grid is clipped, so that traces and print weigh no more."""
    dark = grid_darkness(image)
    cap = grid_cap(dark)
    signal: Float32[np.ndarray, "h w"] = np.minimum(dark, cap) / cap
    return signal


def grid_cap(dark: Float32[np.ndarray, "h w"]) -> np.float32:
    """How dark a grid is at the most: as a twentieth of the page is."""
    return np.float32(max(float(np.quantile(dark[::3, ::3], 0.95)), 0.03))
