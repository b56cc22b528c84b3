"""A page photographed from the side, on a table."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, warp
from ecg_flare.page.page import Page


@dataclass(frozen=True)
class Perspective(Degradation):
    """See the page from an angle.

    `tilt_x`: how much shorter the right edge is than the left (a part; below 0 the left one is the shorter);
    `tilt_y`: the same of the bottom and the top edge; `roll_deg`: turn of the camera; `margin`: table around the page,
    a part of its size; `desk_grey`: how bright the table is; `desk_warmth`: over 0 brown, below 0 bluish.
    """

    tilt_x: float = between(-0.1, 0.1, within=(-0.9, 0.9))
    tilt_y: float = between(-0.12, 0.12, within=(-0.9, 0.9))
    roll_deg: float = between(-3, 3, within=(-360, 360))
    margin: float = between(0.0, 0.05, within=(0, 1))
    desk_grey: float = between(40, 220, within=(0, 255))
    desk_warmth: float = between(-0.08, 0.25, within=(-1, 1))

    def apply(self, page: Page) -> Page:
        """Warp image and truth by the homography."""
        height, width = page.image.shape[:2]
        corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64)
        seen = self._seen(corners)
        border = self.margin * np.array([width, height])
        low, high = seen.min(axis=0) - border, seen.max(axis=0) + border
        new_width, new_height = (int(size) for size in np.ceil(high - low) + 1)
        matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), (seen - low).astype(np.float32))
        desk = tuple(float(np.clip(self.desk_grey * (1 + part * self.desk_warmth), 0, 255)) for part in (1, 0.1, -1))
        return warp(page, matrix, (new_height, new_width), desk)

    def _seen(self, corners: np.ndarray) -> np.ndarray:
        middle = corners.mean(axis=0)
        signs = np.sign(corners - middle)
        # An edge further away is shorter in both directions; half of each tilt at either edge.
        shrink_x = 1 - signs[:, 1] * self.tilt_y / 2
        shrink_y = 1 - signs[:, 0] * self.tilt_x / 2
        offset = (corners - middle) * np.stack([shrink_x, shrink_y], axis=1)
        angle = np.deg2rad(self.roll_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        seen: np.ndarray = offset @ turn.T + middle
        return seen
