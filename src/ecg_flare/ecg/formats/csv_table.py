"""A recording as CSV: time_s, then each lead in mV; a cell is empty where nothing was recorded."""

from __future__ import annotations

import io
from typing import Final

import numpy as np

from ecg_flare.ecg.record import Recording

ENDING: Final = ".csv"
_DIGITS: Final = 4  # a tenth of a microvolt: far below a pixel


def csv_text(recording: Recording) -> str:
    """Return the recording as CSV."""
    times = np.arange(recording.n_samples) / recording.fs_hz
    columns = [[f"{time:.6g}" for time in times]]
    for lead in recording.signal_mv:
        columns.append(
            [f"{value:.{_DIGITS}f}" if known else "" for value, known in zip(lead, np.isfinite(lead), strict=True)]
        )
    out = io.StringIO()
    out.write(",".join(["time_s", *recording.lead_names]) + "\n")
    out.writelines(",".join(row) + "\n" for row in zip(*columns, strict=True))
    return out.getvalue()
