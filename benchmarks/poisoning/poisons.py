"""What a poisoned site sends in place of its honest update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, UInt8

from ecg_flare.nnunet.case import JSON
from ecg_flare.page.raster import Label
from ecg_flare.task.traces.page_case import PageCase, PageSource

Poison = Literal["none", "sign_flip", "label_swap", "noise"]
Vector = Float32[np.ndarray, " d"]

SIGN_FLIP_FACTOR: Final = -10.0
NOISE_STD: Final = 1.0

POISONS: Final[Mapping[Poison, str]] = MappingProxyType(
    {
        "none": "none",
        "sign_flip": "sign flip, 10 times as long",
        "label_swap": "trace and background swapped",
        "noise": "Gaussian noise, std 1",
    }
)
"""Each poison, and its words in the table."""


def flipped(update: Vector) -> Vector:
    """The honest update turned round, and ten times as long."""
    return np.float32(SIGN_FLIP_FACTOR) * update


def noise(dimension: int, rng: np.random.Generator) -> Vector:
    """Independent normal values around zero: the Gaussian attack of Blanchard et al. 2017, with a smaller deviation."""
    return (NOISE_STD * rng.standard_normal(dimension)).astype(np.float32)


@dataclass(frozen=True)
class SwappedLabels:
    """The pages of another source with trace and background swapped in each mask."""

    source: PageSource

    def describe(self, site: str) -> JSON:
        """The source's description, and that its labels are swapped."""
        return {"labels": "trace and background swapped", "of": self.source.describe(site)}

    def cases(self, site: str) -> Iterator[PageCase]:
        """The source's pages in its order."""
        for case in self.source.cases(site):
            yield replace(case, mask=swapped(case.mask))


def swapped(mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """The mask with trace and background swapped; pulses and print stay."""
    labels = np.arange(len(Label), dtype=np.uint8)
    labels[[Label.BACKGROUND, Label.TRACE]] = Label.TRACE, Label.BACKGROUND
    found: UInt8[np.ndarray, "h w"] = labels[mask]
    return found
