"""A picture becomes an upright, flat, evenly lit page at full resolution.

The geometry comes from the grid (lattice.py), which is measured over the whole page and needs no page edge; where
there is no grid, from the sheet's outline and from the direction of the traces. A page that is straight already is
handed on untouched: resampling blurs thin lines, so nothing is warped for less than a tenth of a degree.

What is known of up and down: calibration pulses stand up from their baseline, so hanging ones turn the page over. A
page without pulses says nothing certain about it here (R waves may point either way, and labels are not read), and is
handed on as it is, with `upright_confidence` 0.5.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ecg_flare.digitize.measure.scale import PageScale, measure_scale, turned_over
from ecg_flare.digitize.rectify.lattice import Lattice, find_lattice
from ecg_flare.digitize.rectify.light import darkness, flatten_light
from ecg_flare.digitize.rectify.sheet import Sheet, find_sheet
from ecg_flare.errors import PageError

MIN_SIDE_PX, MIN_LENGTH_PX = 150, 300
"""Smallest picture worth reading: 300 pixels for 25 cm are about 1.2 pixels a millimetre."""

_DARKEST_PAGE = 40.0
_STRAIGHT_DEG = 0.1
_FLAT_PART = 0.003  # a page's corners are this near (of its length) to a straight page's: it is left alone
_MAX_TURN_DEG = 46.0
_MAX_GROWTH = 1.8  # a rectified page is at most this much longer than its picture
_MAX_BEND_PERIODS = 0.22
_TURNED_DEG = 3.0  # a page turned further lies in a frame with wide corners, which are cut off
_GRID_MARGIN_PERIODS = 12.0


@dataclass(frozen=True, eq=False)
class NormalizedPage:
    """A page ready to be measured.

    Attributes:
        image: upright, flat, evenly lit, at the picture's own resolution.
        homography: original pixel -> pixel of `image`.
        rotation_deg: how far the page was turned in the picture, clockwise; 180 more when it stood on its head.
        warnings: what a reader of the result should know.
        scale: the grid and the pulses of `image`, for calibrate.py.
        upright_confidence: 0.5 when nothing on the page says which way is up, 1 when its pulses do.
    """

    image: UInt8[np.ndarray, "h w 3"]
    homography: Float64[np.ndarray, "3 3"]
    rotation_deg: float
    warnings: tuple[str, ...]
    scale: PageScale
    upright_confidence: float


@dataclass(frozen=True, eq=False)
class _Straight:
    """A flat page that may stand on its head; period_px is the strongest of its grid along x and y."""

    image: UInt8[np.ndarray, "h w 3"]
    homography: Float64[np.ndarray, "3 3"]
    turn_deg: float
    period_px: tuple[float, float] | None
    warnings: tuple[str, ...]


def normalize(image: UInt8[np.ndarray, "h w 3"]) -> NormalizedPage:
    """Turn a picture of a page upright, flat and evenly lit.

    Args:
        image: RGB, any size from 300 x 150 pixels.

    Raises:
        PageError: the picture is too small, or blank.
    """
    _check(image)
    sheet = find_sheet(image)
    lit, uneven = flatten_light(image)
    warnings = ["the light was uneven and has been flattened"] if uneven else []
    lattice = find_lattice(lit)
    straight = _by_outline(lit, sheet) if lattice is None else _by_lattice(lit, lattice, sheet)
    scale = measure_scale(straight.image, straight.period_px)
    page = NormalizedPage(
        image=straight.image,
        homography=straight.homography,
        rotation_deg=straight.turn_deg,
        warnings=(*warnings, *straight.warnings),
        scale=scale,
        upright_confidence=0.5,
    )
    return _turned_up(page)


def rotate_180(page: NormalizedPage) -> NormalizedPage:
    """The same page turned by half a circle."""
    height, width = page.image.shape[:2]
    half = np.array([[-1.0, 0.0, width - 1.0], [0.0, -1.0, height - 1.0], [0.0, 0.0, 1.0]])
    return replace(
        page,
        image=np.ascontiguousarray(page.image[::-1, ::-1]),
        homography=half @ page.homography,
        rotation_deg=page.rotation_deg + (180.0 if page.rotation_deg <= 0.0 else -180.0),
        scale=turned_over(page.scale, (height, width)),
    )


def _check(image: UInt8[np.ndarray, "h w 3"]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise PageError(f"page image is {image.dtype} of shape {image.shape}; expected uint8 RGB (height, width, 3)")
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE_PX or max(height, width) < MIN_LENGTH_PX:
        raise PageError(
            f"page image is {width} x {height} pixels; at least {MIN_LENGTH_PX} x {MIN_SIDE_PX} are needed to tell "
            "traces from grid: scan the page at 100 dpi or more"
        )
    if float(np.quantile(image[::7, ::7], 0.99)) < _DARKEST_PAGE:
        raise PageError("page image is blank: it is black all over; check the scan")
    dark = darkness(image[:: max(1, height // 1000), :: max(1, width // 1000)])
    if float((dark > 0.15).mean()) < 2e-4:
        raise PageError("page image is blank: nothing on it is darker than its paper; check the scan")


# --- with a grid --------------------------------------------------------------------------------------------------


def _by_lattice(image: UInt8[np.ndarray, "h w 3"], lattice: Lattice, sheet: Sheet | None) -> _Straight:
    height, width = image.shape[:2]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    slope = _jacobian(lattice.to_grid, centre)
    periods = 1.0 / np.hypot(slope[:, 0], slope[:, 1])
    turn = _turn_deg(slope)
    straight = np.diag([periods[0], periods[1], 1.0]) @ lattice.to_grid
    warnings = []
    if lattice.bend_periods > _MAX_BEND_PERIODS:
        warnings.append("the paper is curved: its grid was flattened as a plane, and some bend is left")
    flat, homography = _cover_surroundings(image, sheet), np.eye(3)
    if not _is_straight(straight, turn, (height, width)):
        flat, homography = _warp(flat, straight, _grid_box(lattice, periods) if abs(turn) > _TURNED_DEG else None)
    return _Straight(flat, homography, turn, (float(periods[0]), float(periods[1])), tuple(warnings))


def _grid_box(lattice: Lattice, periods: Float64[np.ndarray, " 2"]) -> Float64[np.ndarray, "2 2"]:
    """Where a turned page lies: the grid's extent, and a margin as wide as the tiles it was measured by."""
    left, right, top, bottom = lattice.extent
    margin = _GRID_MARGIN_PERIODS
    box: Float64[np.ndarray, "2 2"] = np.array([[left - margin, top - margin], [right + margin, bottom + margin]])
    scaled: Float64[np.ndarray, "2 2"] = box * periods
    return scaled


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
    corners = _corners(shape)
    moved = cv2.perspectiveTransform(corners[None], straight)[0]
    shift = moved - corners
    return abs(turn) < _STRAIGHT_DEG and float(np.abs(shift - shift.mean(axis=0)).max()) < _FLAT_PART * max(shape)


def _corners(shape: tuple[int, int]) -> Float64[np.ndarray, "4 2"]:
    height, width = shape
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)


def _warp(
    image: UInt8[np.ndarray, "h w 3"],
    homography: Float64[np.ndarray, "3 3"],
    box: Float64[np.ndarray, "2 2"] | None = None,
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], Float64[np.ndarray, "3 3"]]:
    """The picture, or a box of it, seen through a homography, moved into view; paper where it does not reach."""
    shape = image.shape[:2]
    moved = cv2.perspectiveTransform(_corners((shape[0], shape[1]))[None], homography)[0]
    centre = np.array([[[(shape[1] - 1) / 2, (shape[0] - 1) / 2]]])
    middle = cv2.perspectiveTransform(centre, homography)[0, 0]
    reach = _MAX_GROWTH * max(shape) / 2
    low = np.floor(np.maximum(moved.min(axis=0), middle - reach))
    high = np.ceil(np.minimum(moved.max(axis=0), middle + reach))
    if box is not None:
        low, high = np.maximum(low, np.floor(box[0])), np.minimum(high, np.ceil(box[1]))
    into_view = np.array([[1.0, 0.0, -low[0]], [0.0, 1.0, -low[1]], [0.0, 0.0, 1.0]]) @ homography
    size = (int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1)
    paper = _paper_colour(image)
    flags = cv2.INTER_CUBIC
    warped = cv2.warpPerspective(image, into_view, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=paper)
    return warped, into_view / into_view[2, 2]


def _paper_colour(image: UInt8[np.ndarray, "h w 3"]) -> tuple[float, float, float]:
    red, green, blue = np.quantile(image[::7, ::7].reshape(-1, 3), 0.8, axis=0)
    return float(red), float(green), float(blue)


def _cover_surroundings(image: UInt8[np.ndarray, "h w 3"], sheet: Sheet | None) -> UInt8[np.ndarray, "h w 3"]:
    """Paint what lies around the sheet in the paper's colour, so that nothing is read off the table."""
    if sheet is None:
        return image
    covered = image.copy()
    covered[~sheet.mask((image.shape[0], image.shape[1]))] = np.round(_paper_colour(image)).astype(np.uint8)
    return covered


# --- without a grid -----------------------------------------------------------------------------------------------


def _by_outline(image: UInt8[np.ndarray, "h w 3"], sheet: Sheet | None) -> _Straight:
    warnings = ["no grid was found: the page was straightened by its edges or its traces"]
    homography = np.eye(3)
    if sheet is not None and sheet.corners is not None:
        image, homography = _warp(_cover_surroundings(image, sheet), _flatten_corners(sheet.corners))
    turn = _trace_turn_deg(darkness(image))
    if abs(turn) >= _STRAIGHT_DEG:
        cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        image, turned = _warp(image, np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]]))
        homography = turned @ homography
    whole_turn = turn + float(np.degrees(np.arctan2(-homography[1, 0], homography[0, 0]))) * (turn == 0.0)
    return _Straight(image, homography / homography[2, 2], whole_turn, None, tuple(warnings))


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


# --- up and down --------------------------------------------------------------------------------------------------


def _turned_up(page: NormalizedPage) -> NormalizedPage:
    """Turn the page over when its calibration pulses hang."""
    pulses = page.scale.pulses
    if len(pulses) < 2 or (page.scale.grid is not None and page.scale.standard_gain is None):
        return page
    if pulses[0].upright:
        return replace(page, upright_confidence=1.0)
    over = rotate_180(page)
    note = "the page was upside down: turned over by its calibration pulses"
    return replace(over, warnings=(*over.warnings, note), upright_confidence=1.0)
