"""A picture that shows less than the whole page."""

from dataclasses import dataclass, replace

import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, px_per_mm, warp
from ecg_flare.page.page import Page
from ecg_flare.page.truth import outline

_SPARE_MM = 2.0


@dataclass(frozen=True)
class Crop(Degradation):
    """Cut from each side a part of what is free of traces and pulses: 0 nothing, 1 all but 2 mm.

    Header and footer may go; traces are never cut. What is cut off remains in the
    truth, outside its `paper`. Crop before geometry: the whole image counts as paper afterwards.
    """

    left: float = between(0, 1, within=(0, 1))
    top: float = between(0, 1, within=(0, 1))
    right: float = between(0, 1, within=(0, 1))
    bottom: float = between(0, 1, within=(0, 1))

    def apply(self, page: Page) -> Page:
        """Cut the image and move the truth."""
        height, width = page.image.shape[:2]
        drawn = [trace.polyline for trace in page.truth.traces] + list(page.truth.pulses)
        if not drawn:
            return page
        points = np.concatenate(drawn)
        spare_px = _SPARE_MM * px_per_mm(page)
        first = np.clip(points.min(axis=0) - spare_px, 0, None) * [self.left, self.top]
        size = np.array([width, height])
        last = np.clip(size - points.max(axis=0) - spare_px, 0, None) * [self.right, self.bottom]
        left, top = first.astype(int).tolist()
        right, bottom = (size - last.astype(int)).tolist()
        matrix = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
        shape = (bottom - top, right - left)
        cut = warp(page, matrix, shape, (0.0, 0.0, 0.0))
        return replace(cut, truth=replace(cut.truth, paper=outline(shape)))
