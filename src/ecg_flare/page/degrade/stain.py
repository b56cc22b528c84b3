"""Coffee, and what else is set down on paper."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, coarse_grid, lit, with_image
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Stain(Degradation):
    """A stain about (`x`, `y`), of `radius`, parts of the page's width.

    `ring`: how much darker its rim is than its middle (0 a blot, 1 a ring alone); `depth`: light that it takes from
    blue, a third of it from red.
    """

    x: float = between(0.05, 0.95, within=(-2, 3))
    y: float = between(0.05, 0.95, within=(-2, 3))
    radius: float = between(0.04, 0.14, within=(0.001, 2))
    ring: float = between(0.3, 1.0, within=(0, 1))
    depth: float = between(0.12, 0.4, within=(0, 1))
    seed: int = 0

    def apply(self, page: Page) -> Page:
        """Tint the image."""
        rng = np.random.default_rng(self.seed)
        x, y = coarse_grid(page, step_mm=0.6)
        aspect = page.image.shape[0] / page.image.shape[1]
        right, down = x - self.x, (y - self.y) * aspect
        angle = np.arctan2(down, right)
        wobble = sum(rng.normal(0, 0.03) * np.cos(n * angle + rng.uniform(0, 6.3)) for n in range(2, 7))
        radius = np.hypot(right, down) / (self.radius * (1 + wobble))
        rim = np.exp(-(((radius - 1) / 0.06) ** 2))
        inside = np.clip((1 - radius) / 0.08, 0, 1)
        strength = self.depth * np.maximum(rim, (1 - self.ring) * inside)
        soft = cv2.GaussianBlur(strength.astype(np.float32), (0, 0), 1.0)
        return with_image(page, lit(page.image, 1 - soft[..., None] * np.array([0.33, 0.6, 1.0], np.float32)))
