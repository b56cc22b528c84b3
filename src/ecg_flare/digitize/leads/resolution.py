"""What the pixels of a page allow: how well a line comes back that is read with one value a pixel column.

Within a column the line is only known by its mean. Where it is steep, that is not enough: a perfect trace of a PTB-XL
recording has 17.7 dB at 100 dpi and 25.9 dB at 200 dpi (docs/digitization.md). The reading itself stands in for the
true line, which nobody has.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Float64

from ecg_flare.digitize.beats import MIN_SAMPLES
from ecg_flare.ecg.record import Recording

COLUMN_PARTS: Final = 4
"""Places of the line over which a column's mean is taken."""


def column_error(recording: Recording, px_per_s: float) -> Float64[np.ndarray, " leads"]:
    """Return for each lead the energy of the error of reading it by columns, in mV^2 times seconds.

    The line's mean in each column of `px_per_s`, and PCHIP between the columns (Fritsch & Carlson 1980); 0 for a lead
    that was not read.
    """
    return np.array([_lead_error(lead, px_per_s / recording.fs_hz) for lead in recording.signal_mv]) / recording.fs_hz


def _lead_error(lead_mv: Float[np.ndarray, " samples"], px_per_sample: float) -> float:
    from scipy.interpolate import PchipInterpolator

    known = np.flatnonzero(np.isfinite(lead_mv))
    if len(known) < MIN_SAMPLES:
        return 0.0
    x = np.arange(known[-1] - known[0] + 1) * px_per_sample
    line = np.interp(x, x[known - known[0]], lead_mv[known].astype(np.float64))
    columns = np.arange(np.floor(x[-1]) + 1)
    parts = (np.arange(COLUMN_PARTS) + 0.5) / COLUMN_PARTS - 0.5
    means = np.interp(columns[:, None] + parts, x, line).mean(axis=1)
    if len(columns) < 2:
        return 0.0
    back = PchipInterpolator(columns, means)(np.clip(x, 0.0, columns[-1]))
    return float(((back - line)[known - known[0]] ** 2).sum())
