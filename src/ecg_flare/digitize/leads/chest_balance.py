"""Whether the chest leads are too small beside the limb leads to have the same gain.

Some pages print the chest leads at half the limb leads' gain and say so nowhere, or in print alone. Then amplitudes are
the only witness: both sets of leads see one heart. The logarithms of the twelve leads' amplitudes are taken for a
Gaussian of the mean and the covariance that they have over 434 recordings of PTB-XL (Wagner et al. 2020), with 0.03 on
the covariance's diagonal for what reading adds. Half a gain moves the mean by log 2 in the chest leads. The log of the
likelihood ratio of the two is linear in the amplitudes (Fisher 1936).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.confidence import DOUBTED_BY_AMPLITUDES
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.ecg.leads import CHEST_LEADS, LEADS
from ecg_flare.ecg.record import Recording

WINDOW_S: Final = 1.2  # holds a beat of every heart above 50 a minute
LEAST_MV: Final = 0.1  # a smaller amplitude says no more than this
USUAL_LOG_MV: Final = (-0.12, 0.04, -0.22, -0.10, -0.42, -0.25, 0.11, 0.66, 0.63, 0.64, 0.49, 0.26)
"""Mean logarithm of each lead's amplitude in mV, in the order of LEADS."""

NATS: Final = (1.17, 2.30, 0.33, 2.61, 0.25, 0.88, -3.15, -1.64, -0.94, -1.53, -2.20, -3.59)
"""By how many nats each logarithm speaks for chest leads of half the gain."""

DOUBT_LOG_ODDS: Final = 0.0
"""Even odds: 5.5 % of PTB-XL's recordings are above them, and 95 % of the same with their chest leads halved."""

SPLIT: Final = 0.5
"""The chest leads' gain over the limb leads' on pages that have two."""


def log_amplitudes(recording: Recording) -> Float64[np.ndarray, " 12"] | None:
    """Return the logarithm of each lead's median range in mV over windows of WINDOW_S; None if one has no window."""
    size = round(WINDOW_S * recording.fs_hz)
    found = []
    for lead in LEADS:
        signal = recording.lead(lead)
        known = signal[np.isfinite(signal)].astype(np.float64)
        windows = known[: len(known) // size * size].reshape(-1, size)
        if not len(windows):
            return None
        found.append(max(float(np.median(np.ptp(windows, axis=1))), LEAST_MV))
    log_mv: Float64[np.ndarray, " 12"] = np.log(np.array(found))
    return log_mv


def split_log_odds(log_mv: Float64[np.ndarray, " 12"]) -> float:
    """Return the natural log-odds of chest leads printed at half the gain that they were read with, priors left out."""
    shift = np.array([np.log(SPLIT) if lead in CHEST_LEADS else 0.0 for lead in LEADS])
    return float((log_mv - np.array(USUAL_LOG_MV) - shift / 2) @ np.array(NATS))


def chest_ratio(log_mv: Float64[np.ndarray, " 12"]) -> float:
    """Return the geometric mean of the chest leads' amplitudes over that of the limb leads: usually 1.9."""
    return float(np.exp(log_mv[-len(CHEST_LEADS) :].mean() - log_mv[: -len(CHEST_LEADS)].mean()))


def weigh_chest_gain(calibration: Calibration, recording: Recording) -> Calibration:
    """Doubt one gain for all leads where the amplitudes speak for two; a gain of the chest's own is left alone."""
    if calibration.chest is not None:
        return calibration
    log_mv = log_amplitudes(recording)
    if log_mv is None or split_log_odds(log_mv) <= DOUBT_LOG_ODDS:
        return calibration
    gain = calibration.gain_mm_per_mv
    note = (
        f"the chest leads are {chest_ratio(log_mv):.1f} times as large as the limb leads, usually 1.9 times: they may "
        f"be printed at {SPLIT * gain:g} mm/mV, and not at {gain:g}; give the chest leads' gain if it is known"
    )
    return replace(
        calibration,
        confidence=round(calibration.confidence * DOUBTED_BY_AMPLITUDES, 3),
        warnings=(*calibration.warnings, note),
    )
