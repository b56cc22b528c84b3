"""A picture sent by a messenger: made small, and compressed once more."""

from __future__ import annotations

from dataclasses import dataclass

from ecg_flare.page.degrade.base import Degradation, between
from ecg_flare.page.degrade.jpeg import Jpeg
from ecg_flare.page.page import Page
from ecg_flare.page.resample import resize_page


@dataclass(frozen=True)
class Messenger(Degradation):
    """Shrink a picture to a longer side of `side_px`, where it is longer, and compress it at `quality`."""

    side_px: float = between(1000, 1600, within=(100, 20_000))
    quality: float = between(70, 90, within=(1, 100))

    def apply(self, page: Page) -> Page:
        """Shrink image and truth, then compress the image."""
        height, width = page.image.shape[:2]
        factor = min(1.0, self.side_px / max(height, width))
        shape = (max(1, round(height * factor)), max(1, round(width * factor)))
        return Jpeg(self.quality).apply(resize_page(page, shape))
