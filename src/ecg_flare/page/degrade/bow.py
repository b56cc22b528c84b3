"""Paper that bows, rolls and waves: its places move both ways, and it catches the light."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64

from ecg_flare.page.degrade.base import Degradation, between, lit, px_per_mm, with_image
from ecg_flare.page.displacement import Displacement, Nodes
from ecg_flare.page.page import Page

_NODE_MM: Final = 2.5


@dataclass(frozen=True)
class Bow(Degradation):
    """Bend a page along both axes, smoothly and unevenly.

    `bend_mm`: how far places move, along x and y (90th percentile); `length_mm`: over which length that changes;
    `shade`: how much darker or brighter the paper gets where it is steep (0 to 1). Scales and homography of the truth
    stay those of the flat page.
    """

    seed: int
    bend_mm: float = between(0.4, 1.5, within=(0, 10))
    length_mm: float = between(40, 100, within=(10, 1000))
    shade: float = between(0.0, 0.15, within=(0, 1))

    def apply(self, page: Page) -> Page:
        """Move image and truth, then shade the image."""
        unit = px_per_mm(page)
        height, width = page.image.shape[:2]
        nodes = Nodes.over((height, width), max(2, round(_NODE_MM * unit)))
        rng = np.random.default_rng(self.seed)
        x, y, slope = (self._wave(rng, nodes, unit) for _ in range(3))
        moved = Displacement(self.bend_mm * unit * x, self.bend_mm * unit * y, nodes)
        image = moved.applied(page.image, border=cv2.BORDER_REPLICATE)
        bent = replace(page, image=image, truth=page.truth.moved(moved.at, (height, width)))
        light = np.repeat((1.0 + self.shade * np.clip(slope, -1, 1))[..., None], 3, axis=2).astype(np.float32)
        return with_image(bent, lit(bent.image, light))

    def _wave(self, rng: np.random.Generator, nodes: Nodes, unit: float) -> Float64[np.ndarray, "rows columns"]:
        """A smooth random surface whose 90th percentile is 1."""
        spread = self.length_mm * unit / nodes.step_px / 4
        margin = int(np.ceil(3 * spread))
        noise = rng.standard_normal((nodes.rows + 2 * margin, nodes.columns + 2 * margin))
        smooth = cv2.GaussianBlur(noise, (0, 0), spread)[margin:-margin, margin:-margin]
        smooth = smooth - smooth.mean()
        wave: Float64[np.ndarray, "rows columns"] = smooth / max(float(np.quantile(np.abs(smooth), 0.9)), 1e-9)
        return wave
