"""What a pixel of a page is worth, and where each number comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ecg_flare.digitize.units import PxPerMm
from ecg_flare.digitize.words.statements import NOTHING_PRINTED, PrintedMeasures
from ecg_flare.ecg.leads import LIMB_LEADS

Source = Literal["measured", "printed", "given", "assumed"]
Method = Literal["grid", "pulse", "rows", "given", "lines"]
"""Of measuring the scale: on the pixels of the grid, of pulses, or of pulses and the rows' length; not at all; or on
the lines that a file draws."""

BY_PULSES: Final[tuple[Method, ...]] = ("pulse", "rows")
"""Methods that take a pulse for 1 mV: of these the gain is not known."""

USUAL_SPEED_MM_PER_S, USUAL_GAIN_MM_PER_MV = 25.0, 10.0


@dataclass(frozen=True)
class ChestGain:
    """The gain that V1 to V6 have a witness of their own for, in mm/mV; it may be that of the limb leads."""

    mm_per_mv: float
    source: Source


@dataclass(frozen=True)
class Calibration:
    """A page's measures.

    Attributes:
        px_per_mm: pixels a millimetre of paper, along x and down y.
        enlarged: how many times its own size the picture was enlarged for that.
        method: where it comes from.
        confidence: 0 to 1 for all of this together; assumed values lower it.
        speed_mm_per_s, gain_mm_per_mv: of the paper; with where each comes from.
        chest: the chest leads' own gain; None where nothing but the page's gain is known of them.
        other_speed_mm_per_s: the speed that the same pulses stand for if they are of the other usual width, where that
            is to be ruled out by the heart.
        printed: what the page prints of its paper; empty where nobody read it.
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
    chest: ChestGain | None = None
    other_speed_mm_per_s: float | None = None
    printed: PrintedMeasures = NOTHING_PRINTED
    enlarged: int = 1

    @property
    def seen_px_per_mm(self) -> PxPerMm:
        """Pixels of the picture itself: what it shows is no finer for being enlarged."""
        return self.px_per_mm.scaled(1 / self.enlarged, 1 / self.enlarged)

    @property
    def chest_gain_mm_per_mv(self) -> float:
        """Gain of V1 to V6: that of the other leads, unless the page has two."""
        return self.gain_mm_per_mv if self.chest is None else self.chest.mm_per_mv

    @property
    def chest_gain_source(self) -> Source:
        """Where the chest leads' gain comes from."""
        return self.gain_source if self.chest is None else self.chest.source

    @property
    def has_two_gains(self) -> bool:
        """Whether chest and limb leads have different gains."""
        return self.chest_gain_mm_per_mv != self.gain_mm_per_mv

    @property
    def gain_text(self) -> str:
        """The gain, or both gains, with where each comes from."""
        one = f"{self.gain_mm_per_mv:g} mm/mV ({self.gain_source})"
        if not self.has_two_gains:
            return one
        return f"{one}, V1-V6 {self.chest_gain_mm_per_mv:g} mm/mV ({self.chest_gain_source})"

    def gain_of(self, lead: str) -> float:
        """Return a lead's gain in mm/mV."""
        return self.gain_mm_per_mv if lead in LIMB_LEADS else self.chest_gain_mm_per_mv


def assumed_speed_note(speed_mm_per_s: float) -> str:
    """The warning of a speed that no pulse says."""
    return f"speed assumed to be {speed_mm_per_s:g} mm/s: no calibration pulse of 0.2 s was read"
