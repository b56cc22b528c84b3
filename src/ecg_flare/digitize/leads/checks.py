"""What can be checked without the truth: the identities between limb leads, and the rhythm strip against its lead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.beats import MIN_SAMPLES, Signal
from ecg_flare.digitize.confidence import GOOD_DB, SOUND_RATIO, allowed_ratio
from ecg_flare.digitize.leads.labelled_rows import signal_of, strip_at
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.physiology import correlation
from ecg_flare.digitize.trace.raster import RowRaster
from ecg_flare.ecg.leads import LIMB_LEADS, einthoven_residual_mv, goldberger_residual_mv
from ecg_flare.ecg.record import Recording

LEAST_CORRELATION: Final = 1.0 / (1.0 + 10 ** (-GOOD_DB / 10))
"""Of a rhythm strip and the short lead of its name, two readings of one signal, if each has GOOD_DB: 0.97."""

SAME_TIME_S: Final = 0.05


@dataclass(frozen=True)
class ConsistencyChecks:
    """Truth-free checks; None where the page does not print what a check needs at the same time.

    `einthoven`: RMS of I + III - II over the RMS of the three leads. `goldberger`: RMS of aVR + aVL + aVF over theirs.
    `rhythm_correlation`: the least correlation of a rhythm strip with the short lead of its name. `allowed_einthoven`
    and `allowed_goldberger` are the largest ratios that paper allows.
    """

    einthoven: float | None
    goldberger: float | None
    rhythm_correlation: float | None
    allowed_einthoven: float = SOUND_RATIO
    allowed_goldberger: float = SOUND_RATIO

    @property
    def passed(self) -> bool | None:
        """Whether every check that could be made is in order; None if there was none."""
        made = [value <= allowed for _, value, allowed in self._ratios()]
        if self.rhythm_correlation is not None:
            made.append(self.rhythm_correlation >= LEAST_CORRELATION)
        return all(made) if made else None

    @property
    def summary(self) -> str:
        """What the checks that failed found, beside what paper allows."""
        parts = [
            f"{name} leaves {value:.0%} of the leads, not 0 to {most:.0%}"
            for name, value, most in self._ratios()
            if value > most
        ]
        if self.rhythm_correlation is not None and self.rhythm_correlation < LEAST_CORRELATION:
            parts.append(f"the rhythm strip's correlation with its short lead is {self.rhythm_correlation:.2f}, not 1")
        return "; ".join(parts)

    def _ratios(self) -> Iterator[tuple[str, float, float]]:
        if self.einthoven is not None:
            yield "I + III - II", self.einthoven, self.allowed_einthoven
        if self.goldberger is not None:
            yield "aVR + aVL + aVF", self.goldberger, self.allowed_goldberger


def check_consistency(
    recording: Recording, rows: RowRaster, spans: tuple[LeadSpan, ...], px_per_mv: float
) -> ConsistencyChecks:
    """Check a recording, and its page's rhythm strips, against what every recording obeys.

    `px_per_mv` is that of the page that was read: what a pixel of noise makes of small leads is no contradiction.
    """
    limb = recording.arranged(LIMB_LEADS).signal_mv.astype(np.float64)
    einthoven, most_einthoven = _ratio(einthoven_residual_mv(limb), limb[:3], px_per_mv)
    goldberger, most_goldberger = _ratio(goldberger_residual_mv(limb), limb[3:], px_per_mv)
    repeats = [
        correlation(strip_at(rows, strip, short), signal_of(rows, short))
        for strip in spans
        for short in spans
        if strip.is_rhythm and not short.is_rhythm and strip.lead == short.lead and _same_time(rows, strip, short)
    ]
    return ConsistencyChecks(einthoven, goldberger, min(repeats, default=None), most_einthoven, most_goldberger)


def _same_time(rows: RowRaster, strip: LeadSpan, short: LeadSpan) -> bool:
    """Whether what stands at one x was recorded at one time: not where every column begins anew."""
    if rows.span.gaps:
        return True  # strip_at moves it there
    return abs(strip.start_s + (short.left_px - strip.left_px) * strip.seconds_per_px - short.start_s) < SAME_TIME_S


def _ratio(residual: Signal, leads: Float64[np.ndarray, "3 n"], px_per_mv: float) -> tuple[float | None, float]:
    """Return the RMS of what the leads' sum leaves over theirs, None if unknown, and what paper allows of it."""
    known = np.isfinite(residual)
    if known.sum() < MIN_SAMPLES:
        return None, SOUND_RATIO
    parts = leads[:, known]
    rms = float(np.sqrt(max(((parts - np.median(parts, axis=1, keepdims=True)) ** 2).mean(), 1e-12)))
    left = residual[known] - np.median(residual[known])
    return float(np.sqrt((left**2).mean())) / rms, allowed_ratio(rms * px_per_mv)
