"""A picture becomes a straight, flat, evenly lit page at full resolution.

The geometry comes from the grid (lattice.py), which is measured over the whole page and needs no page edge; where
there is no grid, from the sheet's outline and from the direction of the traces. Which way is up is not asked here: the
page may stand on its head, and says so by its pulses (measure/scaled_page.py), or by what is read of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.rectify.bends import Bends
from ecg_flare.digitize.rectify.dark import invert_dark
from ecg_flare.digitize.rectify.lattice import find_lattice
from ecg_flare.digitize.rectify.light import flatten_light, grid_darkness
from ecg_flare.digitize.rectify.sheet import find_sheet
from ecg_flare.digitize.rectify.straight import straight_by_lattice, straight_by_outline
from ecg_flare.digitize.rectify.two_tone import has_two_tones
from ecg_flare.errors import PageError
from ecg_flare.page.truth import warp_points

MIN_SIDE_PX, MIN_LENGTH_PX = 150, 300
"""Smallest picture worth reading: 300 pixels for 25 cm are about 1.2 pixels a millimetre."""

DARK_PAGE: Final = "the page is light on dark: it was inverted"

TWO_TONES: Final = (
    "the picture has black and white alone, as a fax: its grid is as dark as its traces, and their edges are lost; "
    "check the overlay, or scan the page in colour"
)

_DARKEST_PAGE: Final = 40.0


@dataclass(frozen=True, eq=False)
class NormalizedPage:
    """A page ready to be measured.

    Attributes:
        image: straight, flat, evenly lit, at the picture's own resolution.
        source: the picture that `image` was taken from: evenly lit, bare paper around the sheet.
        homography: original pixel -> pixel of `image`.
        rotation_deg: how far the page was turned in the picture, clockwise; 180 more when it stood on its head.
        period_px: the strongest period of its grid along x and y; None where no grid was found.
        warnings: what a reader of the result should know.
        upright_confidence: 0.5 when nothing on the page says which way is up, 1 when its pulses do.
        turned_deg: 0, 90, 180 or 270: how far the picture was turned, clockwise, to stand the page up.
        bend: by how much curved paper still moves off the plane, a length of it (90th percentile over the page).
        flattened_mm: how far the paper was bent off its plane (90th percentile) where it was flattened by its grid
            (curl/flatten.py); `homography` then leads to `image` but for `bends`.
        bends: what was taken out there; None of a page that was not flattened.
        two_tones: whether the picture has black and white alone, as a fax.
        enlarged: how many times the size of the picture `image` is.
        from_source: pixel of `source` -> pixel of `image`; None where that is `homography`.
    """

    image: UInt8[np.ndarray, "h w 3"]
    source: UInt8[np.ndarray, "h0 w0 3"]
    homography: Float64[np.ndarray, "3 3"]
    rotation_deg: float
    period_px: tuple[float, float] | None
    warnings: tuple[str, ...]
    upright_confidence: float = 0.5
    turned_deg: int = 0
    bend: float = 0.0
    flattened_mm: float | None = None
    two_tones: bool = False
    enlarged: int = 1
    from_source: Float64[np.ndarray, "3 3"] | None = None
    bends: Bends | None = None

    def moved(self, image: UInt8[np.ndarray, "h2 w2 3"], by: Float64[np.ndarray, "3 3"]) -> NormalizedPage:
        """Return the page with another image, to which a homography of this one's pixels leads."""
        from_source = None if self.from_source is None else by @ self.from_source
        bends = None if self.bends is None else self.bends.moved(by)
        return replace(self, image=image, homography=by @ self.homography, from_source=from_source, bends=bends)

    def on_image(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        """Return places (x, y) of the original picture in pixels of `image`."""
        straight = warp_points(points, self.homography)
        return straight if self.bends is None else self.bends.flat(straight)

    def on_picture(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        """Return places (x, y) of `image` in pixels of the original picture."""
        straight = points if self.bends is None else self.bends.bent(points)
        return warp_points(straight, np.linalg.inv(self.homography))


def normalize(image: UInt8[np.ndarray, "h w 3"]) -> NormalizedPage:
    """Turn a picture of a page straight, flat and evenly lit; light on dark becomes dark on light.

    Args:
        image: RGB, any size from 300 x 150 pixels.

    Raises:
        PageError: the picture is too small, or blank.
    """
    _check_size(image)
    image, inverted = invert_dark(image)
    _check_ink(image)
    two_tones = has_two_tones(image)
    sheet = find_sheet(image)
    lit, uneven = flatten_light(image)
    warnings = [DARK_PAGE] if inverted else []
    warnings += ["the light was uneven and has been flattened"] if uneven else []
    warnings += [TWO_TONES] if two_tones else []
    lattice = find_lattice(lit)
    straight = straight_by_outline(lit, sheet) if lattice is None else straight_by_lattice(lit, lattice, sheet)
    return NormalizedPage(
        image=straight.image,
        source=straight.source,
        homography=straight.homography,
        rotation_deg=straight.turn_deg,
        period_px=straight.period_px,
        warnings=(*warnings, *straight.warnings),
        bend=straight.bend,
        two_tones=two_tones,
    )


def _check_size(image: UInt8[np.ndarray, "h w 3"]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise PageError(f"page image is {image.dtype} of shape {image.shape}; expected uint8 RGB (height, width, 3)")
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE_PX or max(height, width) < MIN_LENGTH_PX:
        raise PageError(
            f"page image is {width} x {height} pixels; at least {MIN_LENGTH_PX} x {MIN_SIDE_PX} are needed to tell "
            "traces from grid: scan the page at 100 dpi or more"
        )


def _check_ink(image: UInt8[np.ndarray, "h w 3"]) -> None:
    height, width = image.shape[:2]
    if float(np.quantile(image[::7, ::7], 0.99)) < _DARKEST_PAGE:
        raise PageError("page image is blank: it is black all over; check the scan")
    dark = grid_darkness(image[:: max(1, height // 1000), :: max(1, width // 1000)])
    if float((dark > 0.15).mean()) < 2e-4:
        raise PageError("page image is blank: nothing on it is darker than its paper; check the scan")


def rotate_180(page: NormalizedPage) -> NormalizedPage:
    """Turn a page by half a circle."""
    return replace(
        page.moved(*turned(page.image, 180)),
        rotation_deg=page.rotation_deg + (180.0 if page.rotation_deg <= 0.0 else -180.0),
        turned_deg=(page.turned_deg + 180) % 360,
    )


def turn_sideways(page: NormalizedPage, quarter_turns: int) -> NormalizedPage:
    """Turn a page that lies on its side: by 1 quarter against the clock, or by 3, as `numpy.rot90` counts."""
    return replace(
        page.moved(*turned(page.image, 360 - 90 * quarter_turns)),
        rotation_deg=page.rotation_deg + (90.0 if quarter_turns == 3 else -90.0),
        period_px=None if page.period_px is None else (page.period_px[1], page.period_px[0]),
        turned_deg=(page.turned_deg - 90 * quarter_turns) % 360,
    )


def turned(
    image: UInt8[np.ndarray, "h w 3"], degrees: int
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], Float64[np.ndarray, "3 3"]]:
    """Return a picture turned by 90, 180 or 270 degrees clockwise, and the homography to its new pixels."""
    height, width = image.shape[:2]
    turn = {
        90: [[0.0, -1.0, height - 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
        180: [[-1.0, 0.0, width - 1.0], [0.0, -1.0, height - 1.0], [0.0, 0.0, 1.0]],
        270: [[0.0, 1.0, 0.0], [-1.0, 0.0, width - 1.0], [0.0, 0.0, 1.0]],
    }[degrees]
    return np.ascontiguousarray(np.rot90(image, -degrees // 90)), np.array(turn)
