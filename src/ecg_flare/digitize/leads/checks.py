"""What can be checked without the truth: the identities between limb leads, and the rhythm strip against its lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.digitize.beats import MIN_SAMPLES
from ecg_flare.digitize.leads.labelled_rows import signal_of
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.physiology import correlation
from ecg_flare.digitize.trace.raster import RowRaster
from ecg_flare.ecg.leads import LEADS, einthoven_residual_mv, goldberger_residual_mv
from ecg_flare.ecg.record import Recording

LARGEST_RATIO: Final = 0.75
"""Leads that don't belong together reach 1 and more; noise and separate filters of the limb leads up to 0.65."""

LEAST_CORRELATION: Final = 0.85
"""A rhythm strip and the short lead of its name are one signal, but for the noise of paper."""

SAME_TIME_S: Final = 0.05


@dataclass(frozen=True)
class ConsistencyChecks:
    """Truth-free checks; None where the page does not print what a check needs at the same time.

    `einthoven`: RMS of I + III - II over the RMS of the three leads. `goldberger`: RMS of aVR + aVL + aVF over theirs.
    `rhythm_correlation`: the least correlation of a rhythm strip with the short lead of its name.
    """

    einthoven: float | None
    goldberger: float | None
    rhythm_correlation: float | None

    @property
    def passed(self) -> bool | None:
        """Whether every check that could be made is in order; None if there was none."""
        made = [value < LARGEST_RATIO for value in (self.einthoven, self.goldberger) if value is not None]
        if self.rhythm_correlation is not None:
            made.append(self.rhythm_correlation > LEAST_CORRELATION)
        return all(made) if made else None

    @property
    def summary(self) -> str:
        """What each check found, beside what is right."""
        parts = [
            f"{name} leaves {value:.0%} of the leads, not 0"
            for name, value in (("I + III - II", self.einthoven), ("aVR + aVL + aVF", self.goldberger))
            if value is not None
        ]
        if self.rhythm_correlation is not None:
            parts.append(f"the rhythm strip's correlation with its short lead is {self.rhythm_correlation:.2f}, not 1")
        return "; ".join(parts)


def check_consistency(recording: Recording, rows: RowRaster, spans: tuple[LeadSpan, ...]) -> ConsistencyChecks:
    """Check a recording, and its page's rhythm strips, against what every recording obeys."""
    limb = recording.signal_mv[: LEADS.index("V1")].astype(np.float64)
    einthoven = _ratio(einthoven_residual_mv(limb), limb[:3])
    goldberger = _ratio(goldberger_residual_mv(limb), limb[3:])
    repeats = [
        correlation(rows.y_mm[strip.row], signal_of(rows, short))
        for strip in spans
        for short in spans
        if strip.is_rhythm and not short.is_rhythm and strip.lead == short.lead and _same_time(strip, short)
    ]
    return ConsistencyChecks(einthoven, goldberger, min(repeats, default=None))


def _same_time(strip: LeadSpan, short: LeadSpan) -> bool:
    """Whether what stands at one x was recorded at one time: not where every column begins anew."""
    per_px = strip.duration_s / (strip.right_px - strip.left_px)
    return abs(strip.start_s + (short.left_px - strip.left_px) * per_px - short.start_s) < SAME_TIME_S


def _ratio(residual: np.ndarray, leads: np.ndarray) -> float | None:
    known = np.isfinite(residual)
    if known.sum() < MIN_SAMPLES:
        return None
    parts = leads[:, known]
    power = float(((parts - np.median(parts, axis=1, keepdims=True)) ** 2).mean())
    left = residual[known] - np.median(residual[known])
    return float(np.sqrt((left**2).mean() / max(power, 1e-12)))
