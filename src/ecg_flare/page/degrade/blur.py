"""A picture out of focus, or moved while it was taken."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, px_per_mm, with_image
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Defocus(Degradation):
    """Gaussian blur with a standard deviation of `sigma_mm`."""

    sigma_mm: float = between(0.03, 0.12, within=(0, 5))

    def apply(self, page: Page) -> Page:
        """Blur the image."""
        sigma_px = max(self.sigma_mm * px_per_mm(page), 1e-3)
        return with_image(page, cv2.GaussianBlur(page.image, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE))


@dataclass(frozen=True)
class Motion(Degradation):
    """A straight movement of `length_mm` in the direction `angle_deg`."""

    length_mm: float = between(0.05, 0.35, within=(0, 5))
    angle_deg: float = between(0, 180, within=(-360, 360))

    def apply(self, page: Page) -> Page:
        """Smear the image, evenly to both sides."""
        half_px = self.length_mm * px_per_mm(page) / 2
        reach = int(np.ceil(half_px)) + 1
        angle = np.deg2rad(self.angle_deg)
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        along = x * np.cos(angle) + y * np.sin(angle)
        over = y * np.cos(angle) - x * np.sin(angle)
        kernel = np.clip(half_px + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(over), 0, 1)
        kernel /= kernel.sum()
        return with_image(page, cv2.filter2D(page.image, -1, kernel, borderType=cv2.BORDER_REPLICATE))
