"""A picture sent by a messenger: made small, and compressed once more."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between
from ecg_flare.page.degrade.jpeg import Jpeg
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Messenger(Degradation):
    """Shrink a picture to a longer side of `side_px`, where it is longer, and compress it at `quality`."""

    side_px: float = between(1000, 1600, within=(100, 20_000))
    quality: float = between(70, 90, within=(1, 100))

    def apply(self, page: Page) -> Page:
        """Shrink image and truth, then compress the image."""
        height, width = page.image.shape[:2]
        factor = min(1.0, self.side_px / max(height, width))
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        x, y = size[0] / width, size[1] / height
        # Pixel centres are at whole numbers, so shrinking by s takes x to s*(x + 1/2) - 1/2.
        matrix = np.array([[x, 0.0, x / 2 - 0.5], [0.0, y, y / 2 - 0.5], [0.0, 0.0, 1.0]])
        image = cv2.resize(page.image, size, interpolation=cv2.INTER_AREA)
        small = replace(page, image=image, truth=page.truth.warped(matrix, (size[1], size[0])))
        return Jpeg(self.quality).apply(small)
