"""Light that is uneven, dim or coloured, and shadows."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, coarse_grid, lit, with_image
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Light(Degradation):
    """Light from one side.

    `exposure`: light at the middle of the page; `falloff`: difference between the bright and the dark side, towards
    `direction_deg`; `vignette`: loss in the corners; `warmth`: over 0 yellowish, below 0 bluish.
    """

    exposure: float = between(0.75, 1.0, within=(0, 4))
    falloff: float = between(0.0, 0.35, within=(-2, 2))
    direction_deg: float = between(0, 360, within=(-360, 360))
    vignette: float = between(0.0, 0.15, within=(-2, 2))
    warmth: float = between(-0.04, 0.1, within=(-1, 1))

    def apply(self, page: Page) -> Page:
        """Shade the image."""
        x, y = coarse_grid(page)
        angle = np.deg2rad(self.direction_deg)
        side = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
        light = self.exposure * (1 - self.falloff * side - 2 * self.vignette * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
        colour = np.array([1 + self.warmth / 2, 1.0, 1 - self.warmth])
        return with_image(page, lit(page.image, (light[..., None] * colour).astype(np.float32)))


@dataclass(frozen=True)
class Shadow(Degradation):
    """The soft shadow of a hand or a phone.

    An ellipse about (`x`, `y`), of `size` along and half of it across, both parts of the page's width, turned by
    `angle_deg`; `depth`: light that it takes; `softness`: width of its edge, a part of its size.
    """

    x: float = between(-0.1, 1.1, within=(-2, 3))
    y: float = between(-0.1, 1.1, within=(-2, 3))
    size: float = between(0.2, 0.6, within=(0.01, 5))
    angle_deg: float = between(0, 180, within=(-360, 360))
    depth: float = between(0.08, 0.3, within=(0, 1))
    softness: float = between(0.3, 1.2, within=(0.01, 5))

    def apply(self, page: Page) -> Page:
        """Darken the image."""
        x, y = coarse_grid(page)
        aspect = page.image.shape[0] / page.image.shape[1]
        angle = np.deg2rad(self.angle_deg)
        right, down = x - self.x, (y - self.y) * aspect
        along = right * np.cos(angle) + down * np.sin(angle)
        over = -right * np.sin(angle) + down * np.cos(angle)
        radius = np.hypot(along / self.size, over / (0.5 * self.size))
        inside = np.clip((1 - radius) / self.softness + 0.5, 0, 1)
        smooth = inside * inside * (3 - 2 * inside)
        light = cv2.merge([(1 - self.depth * smooth).astype(np.float32)] * 3)
        return with_image(page, lit(page.image, light))
