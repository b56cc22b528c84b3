"""What can be checked without the truth: the identities between limb leads, and the rhythm strip against its lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.beats import MIN_SAMPLES
from ecg_flare.digitize.leads.assign import LeadSpan, PageRows, signal_of
from ecg_flare.digitize.leads.physiology import correlation
from ecg_flare.digitize.leads.vectorize import LONGEST_BRIDGE_S
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.ecg.leads import LEADS, einthoven_residual_mv, goldberger_residual_mv
from ecg_flare.ecg.record import Recording

LARGEST_RATIO: Final = 0.75
"""Leads that don't belong together reach 1 and more; noise and separate filters of the limb leads up to 0.65."""


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
            made.append(self.rhythm_correlation > 0.85)
        return all(made) if made else None


def check_consistency(recording: Recording, page: PageRows, spans: tuple[LeadSpan, ...]) -> ConsistencyChecks:
    """Check a recording, and its page's rhythm strips, against what every recording obeys."""
    limb = recording.signal_mv[: LEADS.index("V1")].astype(np.float64)
    einthoven = _ratio(einthoven_residual_mv(limb), limb[:3])
    goldberger = _ratio(goldberger_residual_mv(limb), limb[3:])
    repeats = [
        correlation(page.y_mm[strip.row], signal_of(page, short))
        for strip in spans
        for short in spans
        if strip.is_rhythm and not short.is_rhythm and strip.lead == short.lead and _same_time(strip, short)
    ]
    return ConsistencyChecks(einthoven, goldberger, min(repeats, default=None))


def count_gaps(polyline: Float64[np.ndarray, "k 2"], span: LeadSpan) -> int:
    """Count the gaps in a lead's line that are too long to bridge: where the pen was fast, a peak is lost in them."""
    inside = (polyline[:, 0] >= span.left_px) & (polyline[:, 0] <= span.right_px) & np.isfinite(polyline[:, 1])
    px_per_s = (span.right_px - span.left_px) / (span.end_s - span.start_s)
    return int((np.diff(polyline[inside, 0]) > LONGEST_BRIDGE_S * px_per_s).sum())


def shared_share(row: RowTrace, span: LeadSpan) -> float:
    """Return in which share of a lead's columns it has its ink together with another row.

    Where strokes of two rows run over each other, the tip of the one may have been read as the other's.
    """
    columns = row.shared[max(0, round(span.left_px)) : round(span.right_px)]
    return float(columns.mean()) if len(columns) else 0.0


def _same_time(strip: LeadSpan, short: LeadSpan) -> bool:
    """Whether what stands at one x was recorded at one time: not where every column begins anew."""
    per_px = (strip.end_s - strip.start_s) / (strip.right_px - strip.left_px)
    return abs(strip.start_s + (short.left_px - strip.left_px) * per_px - short.start_s) < 0.05


def _ratio(residual: np.ndarray, leads: np.ndarray) -> float | None:
    known = np.isfinite(residual)
    if known.sum() < MIN_SAMPLES:
        return None
    parts = leads[:, known]
    power = float(((parts - np.median(parts, axis=1, keepdims=True)) ** 2).mean())
    left = residual[known] - np.median(residual[known])
    return float(np.sqrt((left**2).mean() / max(power, 1e-12)))
