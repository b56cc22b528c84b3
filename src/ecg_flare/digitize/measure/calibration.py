"""What a pixel of a page is worth, and where each number comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecg_flare.digitize.units import PxPerMm

Source = Literal["measured", "given", "assumed"]
Method = Literal["grid", "pulse", "given"]

USUAL_SPEED_MM_PER_S, USUAL_GAIN_MM_PER_MV = 25.0, 10.0


@dataclass(frozen=True)
class Calibration:
    """A page's measures.

    Attributes:
        px_per_mm: pixels a millimetre of paper, along x and down y.
        method: where it comes from.
        confidence: 0 to 1 for all of this together; assumed values lower it.
        speed_mm_per_s, gain_mm_per_mv: of the paper; with where each comes from.
        warnings: what a reader of the result should know, one sentence each.
    """

    px_per_mm: PxPerMm
    method: Method
    confidence: float
    speed_mm_per_s: float
    speed_source: Source
    gain_mm_per_mv: float
    gain_source: Source
    warnings: tuple[str, ...]


def assumed_speed_note(speed_mm_per_s: float) -> str:
    """The warning of a speed that no pulse says."""
    return f"speed assumed to be {speed_mm_per_s:g} mm/s: no calibration pulse of 0.2 s was read"
