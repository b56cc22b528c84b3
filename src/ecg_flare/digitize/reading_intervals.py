"""The intervals of a page's reading, and what they hang on."""

from __future__ import annotations

from typing import Any

from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.intervals.measure import nothing_measured

WITHHELD_TOO = "the recording is withheld, and its intervals with it"


def interval_doubts(result: Digitization) -> tuple[str, ...]:
    """Return a sentence for everything that makes a reading's intervals doubtful, measured as they may be."""
    doubts = []
    if result.calibration.speed_source == "assumed":
        doubts.append(
            f"the paper speed of {result.calibration.speed_mm_per_s:g} mm/s was assumed, and every time hangs on it"
        )
    if result.confidence < CONFIDENT:
        doubts.append(f"the reading's confidence is {result.confidence:.2f}, below {CONFIDENT:g}")
    if any(lead.span.guessed for lead in result.leads):
        doubts.append("the name of a strip is a guess, and the axis hangs on the leads' names")
    return tuple(doubts)


def intervals_report(result: Digitization, *, withheld: bool) -> dict[str, Any]:
    """Return the intervals as NAME.json holds them; none of a reading that is withheld."""
    intervals = nothing_measured(WITHHELD_TOO) if withheld else result.intervals
    return {**intervals.to_json(), "doubts": [] if withheld else list(interval_doubts(result))}
