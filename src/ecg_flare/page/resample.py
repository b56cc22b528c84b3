"""Pages at another resolution: image and truth together."""

import math
from dataclasses import replace
from typing import Final

import cv2

from ecg_flare.errors import PageError
from ecg_flare.page.page import Page
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM
from ecg_flare.page.truth import scaling

MAX_PAGE_PIXELS: Final = 300_000_000
"""Pixels of a page in memory; A4 printed at 1200 dpi has 140 million."""


def resample_page(page: Page, px_per_mm: float = NORMALIZED_PX_PER_MM) -> Page:
    """Return the page at `px_per_mm` in x and in y, which removes any anisotropy.

    Shrunk by area averaging, enlarged by cubic interpolation; the truth is scaled with it, so that the mask is drawn
    anew with its own trace width. The new scale is exact in the truth, which is within half a pixel over the page of
    what was asked, as the image has whole pixels. Raises PageError if px_per_mm is not positive.
    """
    if not (math.isfinite(px_per_mm) and px_per_mm > 0):
        raise PageError(f"px_per_mm must be a positive number, found {px_per_mm}.")
    width = max(1, round(page.truth.width_px * px_per_mm / page.truth.px_per_mm_x))
    height = max(1, round(page.truth.height_px * px_per_mm / page.truth.px_per_mm_y))
    return resize_page(page, (height, width))


def resize_page(page: Page, shape: tuple[int, int]) -> Page:
    """Return the page stretched to `shape` (height, width), image and truth together.

    Raises PageError for more than MAX_PAGE_PIXELS.
    """
    check_shape(shape)
    height, width = shape
    truth = page.truth
    scale_x, scale_y = width / truth.width_px, height / truth.height_px
    shrinks = scale_x < 1 and scale_y < 1
    image = cv2.resize(page.image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return replace(page, image=image, truth=truth.warped(scaling(scale_x, scale_y), shape))


def check_shape(shape: tuple[int, int]) -> None:
    """Raise PageError for a page of more than MAX_PAGE_PIXELS, or of none."""
    if not (min(shape) > 0 and shape[0] * shape[1] <= MAX_PAGE_PIXELS):
        raise PageError(
            f"the page would have {shape[1]} x {shape[0]} pixels, expected at most {MAX_PAGE_PIXELS // 1_000_000} "
            "million: check its resolution"
        )
