"""What a page is: its picture, and the truth of what is printed on it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import UInt8

from ecg_flare.page.raster import rasterize
from ecg_flare.page.truth import PageTruth


@dataclass(frozen=True, eq=False)
class Page:
    """The image of a page, RGB, and what is on it."""

    image: UInt8[np.ndarray, "h w 3"]
    truth: PageTruth

    @cached_property
    def mask(self) -> UInt8[np.ndarray, "h w"]:
        """Label mask (raster.Label) drawn from the truth at the image's resolution."""
        return rasterize(self.truth)
