"""Leads from the right of the chest and from the back, made up of recorded ones: PTB-XL has the twelve alone.

Each is a mix of V1, V2, V5 and V6 that has about the size and the polarity of what is recorded there. They test names,
places and lines. They are no measurement of anybody's posterior wall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from ecg_flare.ecg.leads import ALL_LEADS
from ecg_flare.ecg.record import Recording

MIXES: Final[Mapping[str, Mapping[str, float]]] = {
    "V3R": {"V1": 0.7, "V5": -0.1},
    "V4R": {"V1": 0.5, "V2": -0.05, "V5": -0.15},
    "V5R": {"V1": 0.4, "V2": -0.1, "V6": -0.2},
    "V6R": {"V1": 0.3, "V2": -0.1, "V6": -0.3},
    "V7": {"V6": 0.8, "V2": -0.1, "V5": 0.05},
    "V8": {"V6": 0.6, "V2": -0.15},
    "V9": {"V6": 0.4, "V2": -0.2, "V1": 0.1},
}


def with_extra_leads(recording: Recording) -> Recording:
    """Return a recording of the twelve leads with all extra ones besides."""
    extra = [
        np.sum([share * recording.lead(lead).astype(np.float64) for lead, share in mix.items()], axis=0)
        for mix in MIXES.values()
    ]
    signal = np.concatenate([recording.arranged().signal_mv, np.array(extra, np.float32)])
    return replace(recording, signal_mv=signal, lead_names=ALL_LEADS)
