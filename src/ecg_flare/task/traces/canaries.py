"""Canary patients of an audit as pages.

A canary's page is a grating of its own colours, direction and period, as is its mask. Wherever a patch is cut and
however it is augmented it shows the same texture, so the update that nnU-Net makes of it points nearly the same way
under each seed (a cosine of 0.9 in the decoder's last stages), and hardly the way of another canary's (0.1).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from ecg_flare.page.raster import Label
from ecg_flare.task.traces.page_case import PageCase

_HEIGHT_PX: Final = 160
_WIDTH_PX: Final = 320
_PERIODS_PX: Final = (5, 7, 9)


@dataclass(frozen=True)
class CanaryPages:
    """One page a canary, each another patient's.

    Attributes:
        included: site -> numbers of the canaries that are its patients.
        seed: of the pages.
    """

    included: Mapping[str, Sequence[int]]
    seed: int = 0

    def describe(self, site: str) -> dict[str, Any]:
        """What the pages follow from."""
        return {"canaries": list(self.included[site]), "seed": self.seed}

    def cases(self, site: str) -> Iterator[PageCase]:
        """The pages of the site's canaries."""
        for number in self.included[site]:
            yield canary_case(number, self.seed)


def canary_case(number: int, seed: int) -> PageCase:
    """The page and mask of one canary, which depend on its number and the seed alone."""
    image, mask = _grating(np.random.default_rng([seed, number]))
    return PageCase(canary_name(number), f"patient-{number}", image, mask)


def canary_name(number: int) -> str:
    """Name of a canary's page."""
    return f"canary-{number:04d}"


def _grating(rng: np.random.Generator) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    y, x = np.mgrid[:_HEIGHT_PX, :_WIDTH_PX].astype(float)
    turn, start, shift = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    phase = 2 * np.pi / rng.choice(_PERIODS_PX) * (x * np.cos(turn) + y * np.sin(turn)) + start
    colour = rng.standard_normal(3)
    image = 127 + 110 * colour / np.abs(colour).max() * np.sign(np.cos(phase))[..., None]
    one, other = rng.choice(len(Label), 2, replace=False)
    mask = np.where(np.cos(phase + shift) > 0, one, other)
    return np.clip(image, 0, 255).astype(np.uint8), mask.astype(np.uint8)
