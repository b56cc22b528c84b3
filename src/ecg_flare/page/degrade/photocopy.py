"""A grey copy from an office machine."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, px_per_mm, with_image
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Photocopy(Degradation):
    """Copy in grey.

    `contrast`: steepness of the copier's curve about the grey `midpoint` (1 keeps greys as they are); `paper_grey`
    and `toner_grey`: what white and black become; `specks_per_cm2`: toner where none belongs, and holes in the ink
    as many; `streaks`: strength of vertical streaks (grey values); `grain`: noise of the toner (grey values).
    """

    contrast: float = between(1.0, 2.2, within=(0, 20))
    midpoint: float = between(150, 225, within=(0, 255))
    paper_grey: float = between(215, 250, within=(0, 255))
    toner_grey: float = between(15, 70, within=(0, 255))
    specks_per_cm2: float = between(0, 4, within=(0, 100))
    streaks: float = between(0, 6, within=(0, 255))
    grain: float = between(0, 10, within=(0, 255))
    seed: int = 0

    def apply(self, page: Page) -> Page:
        """Turn the image to grey, and spoil it."""
        rng = np.random.default_rng(self.seed)
        grey = cv2.LUT(cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY), self._curve()).astype(np.float32)
        width = grey.shape[1]
        cells = rng.standard_normal(max(2, width // 12)).astype(np.float32)
        grey += self.streaks * cv2.resize(cells[None], (width, 1), interpolation=cv2.INTER_CUBIC)
        grey += np.float32(self.grain) * rng.standard_normal(grey.shape, dtype=np.float32)
        self._speckle(grey, px_per_mm(page), rng)
        copy = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
        return with_image(page, cv2.merge([copy] * 3))

    def _curve(self) -> np.ndarray:
        steep = (np.arange(256) - self.midpoint) * self.contrast + self.midpoint
        parts = np.clip(steep, 0, 255) / 255
        curve: np.ndarray = np.rint(self.toner_grey + parts * (self.paper_grey - self.toner_grey)).astype(np.uint8)
        return curve

    def _speckle(self, grey: np.ndarray, scale: float, rng: np.random.Generator) -> None:
        count = int(rng.poisson(self.specks_per_cm2 * grey.size / (10 * scale) ** 2))
        rows, columns = rng.integers(0, grey.shape[0], count), rng.integers(0, grey.shape[1], count)
        radii = np.maximum(rng.exponential(0.12, count) * scale, 0.5)
        shades = np.where(rng.random(count) < 0.5, self.toner_grey, self.paper_grey)
        for row, column, radius, shade in zip(rows, columns, radii, shades, strict=True):
            cv2.circle(grey, (int(column), int(row)), int(radius), float(shade), -1)
