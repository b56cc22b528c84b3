"""Canary patients as pages, and a server's evaluator that keeps each released model for the auditor.

A canary's page is a grating of its own colours, direction and period, as is its mask. Wherever a patch is cut and
however it is augmented it shows the same texture, so the update that nnU-Net makes of it points nearly the same way
under each seed (a cosine of 0.9 in the decoder's last stages), and hardly the way of another canary's (0.1).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, UInt8
from nvflare.apis.fl_context import FLContext

from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.nnunet.case import Case
from ecg_flare.nnunet.plan import Plan
from ecg_flare.page.raster import Label

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

    def cases(self, site: str) -> Iterator[Case]:
        """The pages of the site's canaries."""
        for number in self.included[site]:
            yield canary_case(number, self.seed)


def canary_case(number: int, seed: int) -> Case:
    """The page and mask of one canary, which depend on its number and the seed alone."""
    image, mask = _grating(np.random.default_rng([seed, number]))
    return Case(canary_name(number), f"patient-{number}", image, mask)


def canary_name(number: int) -> str:
    """Name of a canary's page."""
    return f"canary-{number:04d}"


class KeepModels(PublicEvaluator):
    """Measures nothing, and keeps each model that the server releases as `model-N.npy` in `folder`."""

    def __init__(self, folder: str, source: str = "public_pages") -> None:
        super().__init__(source)
        self._folder = Path(folder)

    def evaluate(self, model: Float32[np.ndarray, " d"], plan: Plan, fl_ctx: FLContext) -> float:
        """Keep the model; 0 stands for its Dice."""
        self._folder.mkdir(parents=True, exist_ok=True)
        np.save(self._folder / f"model-{len(list(self._folder.iterdir()))}.npy", model)
        return 0.0

    def export(self, model: Float32[np.ndarray, " d"], plan: Plan, folder: Path) -> None:
        """Nothing: nobody reads pages with a model that was trained on gratings."""


def _grating(rng: np.random.Generator) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    y, x = np.mgrid[:_HEIGHT_PX, :_WIDTH_PX].astype(float)
    turn, start, shift = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    phase = 2 * np.pi / rng.choice(_PERIODS_PX) * (x * np.cos(turn) + y * np.sin(turn)) + start
    colour = rng.standard_normal(3)
    image = 127 + 110 * colour / np.abs(colour).max() * np.sign(np.cos(phase))[..., None]
    one, other = rng.choice(len(Label), 2, replace=False)
    mask = np.where(np.cos(phase + shift) > 0, one, other)
    return np.clip(image, 0, 255).astype(np.uint8), mask.astype(np.uint8)
