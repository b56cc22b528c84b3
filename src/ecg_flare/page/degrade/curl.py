"""Paper that does not lie flat."""

from dataclasses import dataclass

import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, slide
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Curl(Degradation):
    """Bend the page's horizontals into a wave of `amplitude_mm` and `cycles` waves over the width.

    The truth's homography and scales are kept: they are those of the page lying flat.
    """

    amplitude_mm: float = between(0.3, 2.0, within=(-50, 50))
    cycles: float = between(0.3, 1.0, within=(0, 20))
    phase: float = between(0, 1, within=(-1, 1))

    def apply(self, page: Page) -> Page:
        """Slide the columns of image and truth."""
        width = page.image.shape[1]
        along = np.arange(width) / width
        offset_px = self.amplitude_mm * page.truth.px_per_mm_y * np.sin(2 * np.pi * (self.cycles * along + self.phase))
        return slide(page, offset_px, axis=0)
