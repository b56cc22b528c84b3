"""A mask laid on its page: of the page's size, and as upright as the page is.

A page with an EXIF orientation is shown turned. A mask may have been drawn on what viewers show, or on the stored
pixels: where width and height tell which, it is turned; where they do not, the ink does.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.errors import PageError
from ecg_flare.page.mask_files import LabelMask, turn_mask
from ecg_flare.page.raster import Label
from ecg_flare.page.reader import PageImage

_CLEARLY: Final = 10.0
"""Grey values by which the trace is darker than its page where a mask lies on its ink."""


def fit_mask(mask: LabelMask, page: PageImage, path: Path) -> tuple[UInt8[np.ndarray, "h w"], tuple[str, ...]]:
    """The mask as upright as its page, and a sentence where it was turned.

    A drawn page (one that states its resolution, as a PDF does) has no pixels of its own: its mask may have any size
    of the same proportions, to a pixel.

    Raises PageError, with `path`, where the mask has another size, or lies on the ink of the stored pixels.
    """
    labels = mask.labels
    if labels.shape == page.shape or (page.px_per_mm and _has_proportions(labels.shape, page.shape)):
        if page.orientation != 1 and mask.orientation == 1:
            _check_ink(labels, page, path)
        return labels, ()
    turned = turn_mask(labels, page.orientation)
    if mask.orientation == 1 and turned.shape == page.shape:
        note = f"its mask {path.name} has the size of the stored pixels: turned, as the page, by orientation"
        return turned, (f"{note} {page.orientation}",)
    raise PageError(f"mask {path} has shape {labels.shape}, its page {page.shape}: export both at the same size")


def _has_proportions(found: tuple[int, ...], expected: tuple[int, int]) -> bool:
    return abs(found[0] * expected[1] - found[1] * expected[0]) <= max(*found, *expected)


def _check_ink(labels: UInt8[np.ndarray, "h w"], page: PageImage, path: Path) -> None:
    """Refuse a mask whose trace lies on ink only once it is turned as the page was."""
    turned = turn_mask(labels, page.orientation)
    if turned.shape != labels.shape:
        return
    shown, stored = (_contrast(each, page.image) for each in (labels, turned))
    if stored > shown + _CLEARLY:
        raise PageError(
            f"mask {path} belongs to the stored pixels of its page, which is turned by its EXIF orientation "
            f"{page.orientation}: turn the mask alike, or remove the orientation"
        )


def _contrast(labels: UInt8[np.ndarray, "h w"], image: UInt8[np.ndarray, "h w 3"]) -> float:
    """How many grey values the page has of another brightness under the trace than elsewhere."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if labels.shape != grey.shape:
        labels = np.asarray(cv2.resize(labels, grey.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    trace = labels == Label.TRACE
    if not trace.any() or trace.all():
        return 0.0
    return abs(float(grey[~trace].mean()) - float(grey[trace].mean()))
