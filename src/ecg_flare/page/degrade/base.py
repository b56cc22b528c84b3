"""What a degradation is: frozen parameters, drawn once, and a pure function of them and of the page."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ecg_flare.page.distribution import Uniform
from ecg_flare.page.page import Page
from ecg_flare.page.resample import check_shape
from ecg_flare.page.style import check_range


@dataclass(frozen=True)
class Degradation(ABC):
    """Something that happens to a printed page.

    The fields of a subclass are all there is to it: the same parameters on the same page give the same result. A
    field named `seed` starts the generator of what is too much to be a parameter (grain, specks). Raises LayoutError
    for a parameter that is no number or outside its limits.
    """

    def __post_init__(self) -> None:
        for parameter in fields(self):
            if "within" in parameter.metadata:
                low, high = parameter.metadata["within"]
                check_range(f"{type(self).__name__.lower()} {parameter.name}", getattr(self, parameter.name), low, high)

    @abstractmethod
    def apply(self, page: Page) -> Page:
        """Return the page after it happened; the page that came in is left as it is."""


def between(low: float, high: float, *, within: tuple[float, float]) -> Any:
    """A parameter, with the range from which it is drawn unless a site profile says otherwise, and what it can be."""
    return field(metadata={"draw": Uniform(low, high), "within": within})


def with_image(page: Page, image: UInt8[np.ndarray, "h w 3"]) -> Page:
    """The page with another image of the same size; its truth is unchanged."""
    return replace(page, image=image)


def px_per_mm(page: Page) -> float:
    """Mean scale of a page."""
    return float(np.sqrt(page.truth.px_per_mm_x * page.truth.px_per_mm_y))


def lit(image: UInt8[np.ndarray, "h w 3"], light: Float32[np.ndarray, "low_h low_w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Multiply by a light that is given coarsely and varies smoothly; results over 255 are cut."""
    full = cv2.resize(light, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    result: UInt8[np.ndarray, "h w 3"] = cv2.multiply(image, full, dtype=cv2.CV_8U)
    return result


def coarse_grid(
    page: Page, step_mm: float = 2.0
) -> tuple[Float32[np.ndarray, "low_h low_w"], Float32[np.ndarray, "low_h low_w"]]:
    """Coordinates (x, y) in 0 to 1 of a coarse raster over the page, for smooth fields such as light."""
    height, width = page.image.shape[:2]
    step_px = max(step_mm * px_per_mm(page), 1.0)
    x, y = np.meshgrid(
        np.linspace(0, 1, max(8, round(width / step_px)), dtype=np.float32),
        np.linspace(0, 1, max(8, round(height / step_px)), dtype=np.float32),
    )
    return x, y


def warp(
    page: Page,
    matrix: Float64[np.ndarray, "3 3"],
    shape: tuple[int, int],
    background: tuple[float, ...],
) -> Page:
    """See a page through a homography of pixels, on a `background` (RGB); image and truth together."""
    check_shape(shape)
    image = cv2.warpPerspective(
        page.image,
        matrix,
        (shape[1], shape[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=background,
    )
    return replace(page, image=image, truth=page.truth.warped(matrix, shape))


def slide(page: Page, offset_px: Float64[np.ndarray, " n"], axis: int) -> Page:
    """Slide each column of pixels down (axis 0) or each row to the right (axis 1) by its own offset.

    `offset_px` has an entry a column or row. Straight lines bend, and nothing else happens, so that image and truth
    move by exactly the same rule; the edge of the page is stretched to fill what comes free.
    """
    height, width = page.image.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    offset = offset_px.astype(np.float32)
    if axis == 0:
        y -= offset[None, :]
    else:
        x -= offset[:, None]
    image = cv2.remap(page.image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def move(points: Float64[np.ndarray, "points 2"]) -> Float64[np.ndarray, "points 2"]:
        moved = points.copy()
        moved[:, 1 - axis] += np.interp(points[:, axis], np.arange(len(offset_px)), offset_px)
        return moved

    return replace(page, image=image, truth=page.truth.moved(move, (height, width)))
