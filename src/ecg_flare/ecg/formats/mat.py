"""A recording as a MAT file (level 5), as MATLAB, Octave and scipy read it."""

from __future__ import annotations

import io
from typing import Final

import numpy as np

from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.record import Recording

ENDING: Final = ".mat"


def write_mat(recording: Recording, study: Study) -> bytes:
    """Return `signal_mv` (leads by samples, NaN where nothing is), `fs_hz`, `lead_names`, `units` and `patient_id`."""
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(
        file,
        {
            "signal_mv": recording.signal_mv.astype(np.float64),
            "fs_hz": float(recording.fs_hz),
            "lead_names": np.array(recording.lead_names, dtype=object),
            "units": "mV",
            "patient_id": study.patient_id,
        },
        do_compression=True,
    )
    return file.getvalue()
