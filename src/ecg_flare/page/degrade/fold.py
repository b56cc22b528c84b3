"""A page that was folded: a crease, a kink, and two halves that catch the light differently."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, px_per_mm, slide, with_image
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Fold(Degradation):
    """Fold at `position` (0 to 1) of the width, or of the height if `across` is over 1/2.

    `depth`: how dark the crease is (0 to 1); `tint`: difference of light between the halves; `kink_deg`: how far the
    lines beyond the crease bend off. Scales and homography of the truth stay those of the flat page.
    """

    position: float = between(0.25, 0.75, within=(0, 1))
    across: float = between(0, 1, within=(0, 1))
    depth: float = between(0.08, 0.3, within=(0, 1))
    tint: float = between(-0.06, 0.06, within=(-1, 1))
    kink_deg: float = between(-0.25, 0.25, within=(-10, 10))

    def apply(self, page: Page) -> Page:
        """Bend image and truth at the crease, then shade the image."""
        axis = 1 if self.across > 0.5 else 0
        length = page.image.shape[1 - axis]
        from_crease = np.arange(length) - self.position * length
        bent = slide(page, np.tan(np.deg2rad(self.kink_deg)) * np.maximum(from_crease, 0), axis)
        millimetres = from_crease / px_per_mm(page)
        crease = self.depth * (np.exp(-((millimetres / 0.35) ** 2)) - 0.4 * np.exp(-(((millimetres - 0.9) / 0.6) ** 2)))
        fall = self.tint * np.where(millimetres > 0, np.exp(-np.maximum(millimetres, 0) / 40), 0)
        light = (1 - crease - fall).astype(np.float32)
        profile = light[None, :, None] if axis == 0 else light[:, None, None]
        shading = np.ascontiguousarray(np.broadcast_to(profile, page.image.shape))
        return with_image(bent, cv2.multiply(bent.image, shading, dtype=cv2.CV_8U))
