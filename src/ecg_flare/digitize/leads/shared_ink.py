"""What a lead may lose where its ink is another row's, too: the energy that it has there.

Where strokes of two rows run over each other, the tip of the one may have been read as the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.lead_span import LeadSpan, recorded_spans
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.ecg.record import Recording

BESIDE_PX: Final = 1.0
"""Columns on either side of shared ink that the same stroke goes on in."""


def shared_energy(
    recording: Recording, rows: Sequence[RowTrace], spans: Sequence[LeadSpan]
) -> Float64[np.ndarray, " leads"]:
    """Return for each lead its energy where it shares ink with another row, in mV^2 times seconds.

    `spans` are in the columns of `rows`; of a lead that is printed twice the longer stretch counts.
    """
    found = np.zeros(len(recording.lead_names))
    for name, span in recorded_spans(spans).items():
        number = recording.lead_names.index(name)
        lead = recording.signal_mv[number].astype(np.float64)
        columns = _wider(rows[span.row].shared)
        times = np.arange(recording.n_samples) / recording.fs_hz
        x = span.left_px + (times - span.start_s) * (span.right_px - span.left_px) / span.duration_s
        inside = (x >= span.left_px) & (x < span.right_px) & np.isfinite(lead)
        at = np.clip(np.round(x).astype(int), 0, len(columns) - 1)
        taken = inside & columns[at]
        if taken.any():
            found[number] = float(((lead[taken] - np.median(lead[inside])) ** 2).sum()) / recording.fs_hz
    return found


def _wider(shared: np.ndarray) -> np.ndarray:
    reach = round(BESIDE_PX)
    return np.convolve(shared, np.ones(2 * reach + 1), mode="same") > 0
