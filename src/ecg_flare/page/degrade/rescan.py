"""A page scanned again, or resized, at another resolution, which need not be the same in x and y."""

from dataclasses import dataclass

from ecg_flare.page.degrade.base import Degradation, between
from ecg_flare.page.page import Page
from ecg_flare.page.resample import resize_page


@dataclass(frozen=True)
class Rescan(Degradation):
    """Multiply the resolution by `scale`, and that of x by `aspect` besides."""

    scale: float = between(0.6, 1.0, within=(0.05, 4))
    aspect: float = between(0.97, 1.03, within=(0.5, 2))

    def apply(self, page: Page) -> Page:
        """Resize image and truth."""
        height, width = page.image.shape[:2]
        return resize_page(page, (max(1, round(height * self.scale)), max(1, round(width * self.scale * self.aspect))))
