"""A page laid askew on the scanner's glass."""

from dataclasses import dataclass

import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, warp
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Rotation(Degradation):
    """Turn by `angle_deg` (clockwise on the screen); the image grows to hold the whole page.

    `lid_grey` is what the scanner shows beside the page.
    """

    angle_deg: float = between(-3, 3, within=(-360, 360))
    lid_grey: float = between(225, 250, within=(0, 255))

    def apply(self, page: Page) -> Page:
        """Turn image and truth about the middle."""
        height, width = page.image.shape[:2]
        angle = np.deg2rad(self.angle_deg)
        cosine, sine = np.cos(angle), np.sin(angle)
        new_width = int(np.ceil(width * abs(cosine) + height * abs(sine)))
        new_height = int(np.ceil(width * abs(sine) + height * abs(cosine)))
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        turn = np.array([[cosine, -sine], [sine, cosine]])
        shift = np.array([(new_width - 1) / 2, (new_height - 1) / 2]) - turn @ middle
        matrix = np.array([[*turn[0], shift[0]], [*turn[1], shift[1]], [0.0, 0.0, 1.0]])
        return warp(page, matrix, (new_height, new_width), (self.lid_grey,) * 3)
