"""Grain of a sensor."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, with_image
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Noise(Degradation):
    """Gaussian noise of standard deviation `luma`, the same in all colours, and `chroma`, coarser and coloured.

    Both in grey values, 0 to 255.
    """

    luma: float = between(1, 8, within=(0, 255))
    chroma: float = between(0, 4, within=(0, 255))
    seed: int = 0

    def apply(self, page: Page) -> Page:
        """Add the grain to the image."""
        rng = np.random.default_rng(self.seed)
        height, width = page.image.shape[:2]
        grain = rng.standard_normal((height, width), dtype=np.float32) * np.float32(self.luma)
        coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32) * np.float32(self.chroma)
        coloured = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
        noise = coloured + grain[..., None]
        return with_image(page, cv2.add(page.image, noise, dtype=cv2.CV_8U))
