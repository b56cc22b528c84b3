"""A page made straight: by its grid, or else by the sheet's outline and the direction of its traces.

A page that is straight already is left alone: resampling blurs thin lines, so nothing is warped for less than a tenth
of a degree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ecg_flare.digitize.rectify.lattice import Lattice
from ecg_flare.digitize.rectify.light import grid_darkness
from ecg_flare.digitize.rectify.phases import TILE_PERIODS
from ecg_flare.digitize.rectify.sheet import Sheet
from ecg_flare.digitize.rectify.warp import corners_of, cover_surroundings, warp

CURVED: Final = "the paper is curved: its grid was flattened as a plane, and some bend is left"

_STRAIGHT_DEG: Final = 0.1
_FLAT_PART: Final = 0.003  # a page's corners are this near (of its length) to a straight page's: it is left alone
_MAX_TURN_DEG: Final = 46.0
_MAX_BEND_PERIODS: Final = 0.22
FLAT_BEND_PERIODS: Final = 0.07  # what noise and ink make of the phases of flat paper
_TURNED_DEG: Final = 3.0  # a page turned further lies in a frame with wide corners, which are cut off
_GRID_MARGIN_PERIODS: Final = 12.0


@dataclass(frozen=True, eq=False)
class StraightPage:
    """A flat page that may stand on its head; period_px is the strongest of its grid along x and y.

    `source` is the picture that it was taken from, without what lies around the sheet; `bend` is by how much the grid
    still moves off the plane, a length of it.
    """

    image: UInt8[np.ndarray, "h w 3"]
    source: UInt8[np.ndarray, "h0 w0 3"]
    homography: Float64[np.ndarray, "3 3"]
    turn_deg: float
    period_px: tuple[float, float] | None
    warnings: tuple[str, ...]
    bend: float = 0.0


def straight_by_lattice(image: UInt8[np.ndarray, "h w 3"], lattice: Lattice, sheet: Sheet | None) -> StraightPage:
    """Make a page straight by its grid, with a warning where the paper is curved."""
    height, width = image.shape[:2]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    slope = _jacobian(lattice.to_grid, centre)
    periods = 1.0 / np.hypot(slope[:, 0], slope[:, 1])
    turn = _turn_deg(slope)
    straight = np.diag([periods[0], periods[1], 1.0]) @ lattice.to_grid
    warnings = []
    if lattice.bend_periods > _MAX_BEND_PERIODS:
        warnings.append(CURVED)
    source = cover_surroundings(image, sheet)
    flat, homography = source, np.eye(3)
    if not _is_straight(straight, turn, (height, width)):
        flat, homography = warp(flat, straight, _grid_box(lattice, periods) if abs(turn) > _TURNED_DEG else None)
    bend = float(np.sqrt(max(0.0, lattice.bend_periods**2 - FLAT_BEND_PERIODS**2))) / TILE_PERIODS
    return StraightPage(flat, source, homography, turn, (float(periods[0]), float(periods[1])), tuple(warnings), bend)


def _jacobian(homography: Float64[np.ndarray, "3 3"], at: Float64[np.ndarray, " 2"]) -> Float64[np.ndarray, "2 2"]:
    top = homography[:2] @ np.array([at[0], at[1], 1.0])
    bottom = float(homography[2] @ np.array([at[0], at[1], 1.0]))
    slope: Float64[np.ndarray, "2 2"] = (homography[:2, :2] - np.outer(top / bottom, homography[2, :2])) / bottom
    return slope


def _turn_deg(slope: Float64[np.ndarray, "2 2"]) -> float:
    """Clockwise angle of the page's own x axis in the picture, the mean of what its two families of lines say."""
    upright = np.degrees(np.arctan2(slope[0, 1], slope[0, 0]))
    level = np.degrees(np.arctan2(-slope[1, 0], slope[1, 1]))
    return float((upright + level) / 2)


def _is_straight(straight: Float64[np.ndarray, "3 3"], turn: float, shape: tuple[int, int]) -> bool:
    corners = corners_of(shape)
    moved = cv2.perspectiveTransform(corners[None], straight)[0]
    shift = moved - corners
    return abs(turn) < _STRAIGHT_DEG and float(np.abs(shift - shift.mean(axis=0)).max()) < _FLAT_PART * max(shape)


def _grid_box(lattice: Lattice, periods: Float64[np.ndarray, " 2"]) -> Float64[np.ndarray, "2 2"]:
    """Where a turned page lies: the grid's extent, and a margin as wide as the tiles it was measured by."""
    left, right, top, bottom = lattice.extent
    margin = _GRID_MARGIN_PERIODS
    box: Float64[np.ndarray, "2 2"] = np.array([[left - margin, top - margin], [right + margin, bottom + margin]])
    scaled: Float64[np.ndarray, "2 2"] = box * periods
    return scaled


def straight_by_outline(image: UInt8[np.ndarray, "h w 3"], sheet: Sheet | None) -> StraightPage:
    """Make a page straight by the corners of its sheet, where it has four, and level by its traces."""
    warnings = ["no grid was found: the page was straightened by its edges or its traces"]
    homography, source = np.eye(3), image
    if sheet is not None and sheet.corners is not None:
        source = cover_surroundings(image, sheet)
        image, homography = warp(source, _flatten_corners(sheet.corners))
    turn = _trace_turn_deg(grid_darkness(image))
    if abs(turn) >= _STRAIGHT_DEG:
        cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        image, turned = warp(image, np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]]))
        homography = turned @ homography
    whole_turn = turn + float(np.degrees(np.arctan2(-homography[1, 0], homography[0, 0]))) * (turn == 0.0)
    return StraightPage(image, source, homography / homography[2, 2], whole_turn, None, tuple(warnings))


def _flatten_corners(corners: Float64[np.ndarray, "4 2"]) -> Float64[np.ndarray, "3 3"]:
    top_left, top_right, bottom_right, bottom_left = corners
    width = (np.hypot(*(top_right - top_left)) + np.hypot(*(bottom_right - bottom_left))) / 2
    height = (np.hypot(*(bottom_left - top_left)) + np.hypot(*(bottom_right - top_right))) / 2
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    homography: Float64[np.ndarray, "3 3"] = cv2.getPerspectiveTransform(corners.astype(np.float32), flat)
    return homography


def _trace_turn_deg(dark: Float32[np.ndarray, "h w"]) -> float:
    """Angle at which the rows of the page stand out most: baselines of traces and lines of print are level."""
    scale = min(1.0, 700.0 / max(dark.shape))
    small = cv2.resize(dark, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

    def sharpness(angle: float) -> float:
        height, width = small.shape
        turning = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
        rows = cv2.warpAffine(small, turning, (width, height)).mean(axis=1)
        return float((np.diff(rows) ** 2).sum())

    best = 0.0
    for step, reach in ((2.0, _MAX_TURN_DEG), (0.4, 2.0), (0.08, 0.4)):
        angles = np.arange(best - reach, best + reach + step / 2, step)
        best = float(angles[int(np.argmax([sharpness(float(angle)) for angle in angles]))])
    return best if sharpness(best) > 1.05 * sharpness(0.0) else 0.0
