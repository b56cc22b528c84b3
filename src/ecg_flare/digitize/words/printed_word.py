"""A line of print, and what reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class PrintedWord:
    """A line of print as it was read: its text, how sure that is (0 to 1), and its box in pixels of the page."""

    text: str
    score: float
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float

    @property
    def box_px(self) -> tuple[float, float, float, float]:
        """Its box: left, top, right and bottom."""
        return self.left_px, self.top_px, self.right_px, self.bottom_px


class WordReader(Protocol):
    """Reads what is printed on an upright page."""

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], px_per_mm: float, /) -> Sequence[PrintedWord]:
        """Return the lines of print of a page (RGB) of a scale."""
        ...
