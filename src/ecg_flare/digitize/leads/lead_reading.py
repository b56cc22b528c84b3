"""What was read of each lead: where it stands, its gaps, the ink it shares, how much of it was found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.vectorize import LONGEST_BRIDGE_S
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.ecg.record import Recording


@dataclass(frozen=True)
class LeadReading:
    """One stretch of a lead as it was read.

    `gaps` counts the breaks of its line that are too long to bridge. `shared` is the share of its columns whose ink is
    another row's, too. `coverage` is the share of its time whose ink was found.
    """

    span: LeadSpan
    gaps: int
    shared: float
    coverage: float


def read_lead(span: LeadSpan, row: RowTrace, polyline: Float64[np.ndarray, "k 2"], recording: Recording) -> LeadReading:
    """Return what was read of a lead; `row` and `polyline` are those of its row, in the pixels of its span."""
    return LeadReading(span, count_gaps(polyline, span), shared_share(row, span), covered_share(recording, span))


def count_gaps(polyline: Float64[np.ndarray, "k 2"], span: LeadSpan) -> int:
    """Count the gaps in a lead's line that are too long to bridge: where the pen was fast, a peak is lost in them."""
    inside = span.holds(polyline[:, 0]) & np.isfinite(polyline[:, 1])
    px_per_s = (span.right_px - span.left_px) / span.duration_s
    return int((np.diff(polyline[inside, 0]) > LONGEST_BRIDGE_S * px_per_s).sum())


def shared_share(row: RowTrace, span: LeadSpan) -> float:
    """Return in which share of a lead's columns it has its ink together with another row.

    Where strokes of two rows run over each other, the tip of the one may have been read as the other's.
    """
    columns = row.shared[max(0, round(span.left_px)) : round(span.right_px)]
    return float(columns.mean()) if len(columns) else 0.0


def covered_share(recording: Recording, span: LeadSpan) -> float:
    """Return the share of a stretch's time whose ink was found; 0 for a stretch without a sample."""
    stretch = recording.lead(span.lead)[span.samples(recording.fs_hz)]
    return float(np.isfinite(stretch).mean()) if len(stretch) else 0.0
