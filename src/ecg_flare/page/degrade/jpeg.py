"""Lossy compression."""

from dataclasses import dataclass

import cv2

from ecg_flare.page.degrade.base import Degradation, between, with_image
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Jpeg(Degradation):
    """Compress with JPEG at `quality` (1 to 100)."""

    quality: float = between(45, 92, within=(1, 100))

    def apply(self, page: Page) -> Page:
        """Compress and decompress the image."""
        # The codec wants BGR, and treats the channels by their meaning.
        bgr = cv2.cvtColor(page.image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, round(self.quality)])
        return with_image(page, cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
