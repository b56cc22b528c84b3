"""The bends that were taken out of a page: where its places stood before, and where they stand flat."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from ecg_flare.page.displacement import Displacement
from ecg_flare.page.truth import warp_points


@dataclass(frozen=True, eq=False)
class Bends:
    """How far the places of a page were moved to lie flat.

    `displacement` is in pixels of a picture of their own; the homography `to_image` leads from there to pixels of the
    page's image.
    """

    displacement: Displacement
    to_image: Float64[np.ndarray, "3 3"]

    def moved(self, by: Float64[np.ndarray, "3 3"]) -> Bends:
        """Return the bends of a page that a homography of its pixels moved."""
        return replace(self, to_image=by @ self.to_image)

    def flat(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        """Return where places (x, y) of the bent page stand on the flat one, both in pixels of its image."""
        return self._through(self.displacement, points)

    def bent(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        """Return where places (x, y) of the flat page stood on the bent one, both in pixels of its image."""
        return self._through(self.displacement.inverted(), points)

    def _through(self, displacement: Displacement, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        return warp_points(displacement.at(warp_points(points, np.linalg.inv(self.to_image))), self.to_image)
