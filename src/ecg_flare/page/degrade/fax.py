"""A page as a fax machine sends it: black and white alone, in few lines.

Group 3 machines (ITU-T T.4) send about 204 dots an inch along a line, and 98 ("standard") or 196 ("fine") lines an
inch. Greys become dots of a screen, or are lost to one threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.page.degrade.base import Degradation, between
from ecg_flare.page.page import Page
from ecg_flare.page.resample import resize_page

_MM_PER_INCH: Final = 25.4


@dataclass(frozen=True)
class Fax(Degradation):
    """Send a page in `dots_dpi` along a line and `lines_dpi` down the page, each dot black or white.

    `threshold`: the grey from which on a dot is white; `screen`: how far the threshold varies over the 4 x 4 dots of an
    ordered dither (Bayer 1973), in parts of all greys. 0 is a machine's mode for text, 1 that for photographs. The page
    comes out with square pixels, its lines repeated, as software shows faxes.
    """

    dots_dpi: float = between(200, 204, within=(50, 1200))
    lines_dpi: float = between(98, 196, within=(50, 1200))
    threshold: float = between(110, 190, within=(1, 255))
    screen: float = between(0, 1, within=(0, 1))

    def apply(self, page: Page) -> Page:
        """Resize image and truth, turn the image to black and white, and repeat its lines."""
        truth = page.truth
        width_mm, height_mm = truth.width_px / truth.px_per_mm_x, truth.height_px / truth.px_per_mm_y
        width = max(1, round(width_mm * self.dots_dpi / _MM_PER_INCH))
        sent = resize_page(page, (max(1, round(height_mm * self.lines_dpi / _MM_PER_INCH)), width))
        dots = self._dots(cv2.cvtColor(sent.image, cv2.COLOR_RGB2GRAY))
        shown = resize_page(sent, (max(1, round(height_mm * self.dots_dpi / _MM_PER_INCH)), width))
        lines = (np.arange(len(shown.image)) + 0.5) * len(dots) / len(shown.image)
        square = np.ascontiguousarray(dots[lines.astype(int)])
        return replace(shown, image=cv2.merge([square] * 3))

    def _dots(self, grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        height, width = grey.shape
        screen = np.tile(_bayer(), (-(-height // 4), -(-width // 4)))[:height, :width]
        black = grey < self.threshold + self.screen * 255 * screen
        dots: UInt8[np.ndarray, "h w"] = np.where(black, 0, 255).astype(np.uint8)
        return dots


def _bayer() -> Float64[np.ndarray, "4 4"]:
    """Return the thresholds of an ordered dither, evenly from -15/32 to 15/32."""
    pair = np.array([[0, 2], [3, 1]])
    order = 4 * np.tile(pair, (2, 2)) + np.repeat(np.repeat(pair, 2, axis=0), 2, axis=1)
    thresholds: Float64[np.ndarray, "4 4"] = (order + 0.5) / 16 - 0.5
    return thresholds
