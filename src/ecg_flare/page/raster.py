"""Pages at the network's resolution: the label mask drawn from the truth, and resampling.

The trace of a mask is TRACE_WIDTH_PX wide at NORMALIZED_PX_PER_MM (0.75 mm), whatever the pen was: the Dice of thin
lines depends on the width, so it is fixed.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.errors import PageError
from ecg_flare.page.stroke import distance_to_strokes
from ecg_flare.page.truth import PageTruth

if TYPE_CHECKING:
    from ecg_flare.page.render import Page

NORMALIZED_PX_PER_MM: Final = 4.0
"""Resolution at which the segmentation network sees pages: a letter page is 1118 x 864."""

TRACE_WIDTH_PX: Final = 3
"""Width of a trace or pulse in the label mask at NORMALIZED_PX_PER_MM."""

MAX_PAGE_PIXELS: Final = 300_000_000
"""Pixels of a page in memory; A4 printed at 1200 dpi has 140 million."""

_BOX_SHIFT: Final = 4


class Label(IntEnum):
    """Classes of the mask. Where they overlap, traces lie over pulses and pulses over print."""

    BACKGROUND = 0
    TRACE = 1
    PULSE = 2
    PRINT = 3


def rasterize(truth: PageTruth) -> UInt8[np.ndarray, "h w"]:
    """Draw the label mask of a page at the resolution of its truth.

    A pixel belongs to a trace if its centre lies within half the trace width, TRACE_WIDTH_PX / NORMALIZED_PX_PER_MM
    times the mean px_per_mm, of the polyline; never less than one pixel wide. Outside the paper all is background.
    """
    shape = (truth.height_px, truth.width_px)
    px_per_mm = math.sqrt(truth.px_per_mm_x * truth.px_per_mm_y)
    half_px = max(TRACE_WIDTH_PX * px_per_mm / NORMALIZED_PX_PER_MM, 1.0) / 2
    mask = np.zeros(shape, dtype=np.uint8)
    for box in truth.print_boxes:
        _fill(mask, box, Label.PRINT)
    _stroke(mask, truth.pulses, half_px, Label.PULSE)
    _stroke(mask, [trace.polyline for trace in truth.traces], half_px, Label.TRACE)
    seen = np.zeros(shape, dtype=np.uint8)
    _fill(seen, truth.paper, 1)
    return mask * seen


def resample_page(page: "Page", px_per_mm: float = NORMALIZED_PX_PER_MM) -> "Page":
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


def resize_page(page: "Page", shape: tuple[int, int]) -> "Page":
    """Return the page stretched to `shape` (height, width), image and truth together.

    Raises PageError for more than MAX_PAGE_PIXELS.
    """
    check_shape(shape)
    height, width = shape
    truth = page.truth
    scale_x, scale_y = width / truth.width_px, height / truth.height_px
    shrinks = scale_x < 1 and scale_y < 1
    image = cv2.resize(page.image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    # Corners of the image stay corners, and centres of pixels have whole coordinates: hence the halves.
    matrix = np.array([[scale_x, 0, scale_x / 2 - 0.5], [0, scale_y, scale_y / 2 - 0.5], [0, 0, 1]])
    return replace(page, image=image, truth=truth.warped(matrix, shape))


def check_shape(shape: tuple[int, int]) -> None:
    """Raise PageError for a page of more than MAX_PAGE_PIXELS, or of none."""
    if not (min(shape) > 0 and shape[0] * shape[1] <= MAX_PAGE_PIXELS):
        raise PageError(
            f"the page would have {shape[1]} x {shape[0]} pixels, expected at most {MAX_PAGE_PIXELS // 1_000_000} "
            "million: check its resolution"
        )


def _fill(mask: UInt8[np.ndarray, "h w"], polygon: Float64[np.ndarray, "corners 2"], label: int) -> None:
    corners = np.rint(polygon * 2**_BOX_SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [corners], int(label), cv2.LINE_8, _BOX_SHIFT)


def _stroke(
    mask: UInt8[np.ndarray, "h w"], polylines: Sequence[Float64[np.ndarray, "_ 2"]], half_px: float, label: Label
) -> None:
    # Strip by strip: the traces of a row touch a part of the page only.
    for polyline in polylines:
        top = max(0, math.floor(polyline[:, 1].min() - half_px))
        bottom = min(mask.shape[0], math.ceil(polyline[:, 1].max() + half_px) + 1)
        left = max(0, math.floor(polyline[:, 0].min() - half_px))
        right = min(mask.shape[1], math.ceil(polyline[:, 0].max() + half_px) + 1)
        if bottom <= top or right <= left:
            continue
        region = mask[top:bottom, left:right]
        distance = distance_to_strokes([polyline - [left, top]], region.shape, half_px)
        region[distance <= half_px] = label
