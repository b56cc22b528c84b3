"""Light ink on dark paper, as some viewers show pages."""

from dataclasses import dataclass

import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, with_image
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Invert(Degradation):
    """Turn light to dark and dark to light, each channel by itself; white becomes `darkest`."""

    darkest: float = between(0, 40, within=(0, 100))

    def apply(self, page: Page) -> Page:
        """Invert the image; the truth stays."""
        curve = np.rint(255 - np.arange(256) * (255 - self.darkest) / 255).astype(np.uint8)
        return with_image(page, curve[page.image])
