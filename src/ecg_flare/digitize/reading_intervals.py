"""The intervals of a page's reading, and what they hang on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.intervals.intervals import QUANTITIES
from ecg_flare.ecg.intervals.measure import nothing_measured

WITHHELD_TOO: Final = "the recording is withheld, and its intervals with it"

AGREE: Final = {"heart_rate_bpm": 5.0, "pr_ms": 30.0, "qrs_ms": 30.0, "qt_ms": 40.0, "qtc_ms": 40.0}
"""Up to such a difference a printed value and a measured one do not contradict each other."""

HEART_RATE_SHARE: Final = 0.1
"""Of the printed heart rate, where that is more: machines mean over other beats than a page shows."""

_MEASURED_AS: Final = {"qtc_ms": ("qtc_bazett_ms", "qtc_fridericia_ms")}
_NAMES: Final = {"qtc_ms": ("QTc", "ms"), **QUANTITIES}


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
    doubts.extend(_contradictions(result))
    return tuple(doubts)


def _contradictions(result: Digitization) -> Iterator[str]:
    """Yield a sentence for each interval that the page prints with another value than was measured."""
    for finding in result.findings:
        printed = finding.value
        if finding.kind not in AGREE or not isinstance(printed, float):
            continue
        measured = [
            value
            for name in _MEASURED_AS.get(finding.kind, (finding.kind,))
            if (value := result.intervals.values[name]) is not None
        ]
        apart = [abs(value - printed) for value in measured]
        share = HEART_RATE_SHARE * printed if finding.kind == "heart_rate_bpm" else 0.0
        if apart and min(apart) > max(AGREE[finding.kind], share):
            name, unit = _NAMES[finding.kind]
            nearest = measured[apart.index(min(apart))]
            yield f"the page prints {name} {printed:.0f} {unit}, and {nearest:.0f} {unit} was measured"


def intervals_report(result: Digitization, *, withheld: bool) -> dict[str, Any]:
    """Return the intervals as NAME.json holds them; none of a reading that is withheld."""
    intervals = nothing_measured(WITHHELD_TOO) if withheld else result.intervals
    return {**intervals.to_json(), "doubts": [] if withheld else list(interval_doubts(result))}
