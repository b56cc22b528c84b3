"""What a recording must obey, whoever printed it: used to tell layouts apart, and to check what was read.

Of the six limb leads any three span two dimensions (Einthoven 1913, Goldberger 1942), so three or more that were
printed at the same time leave nothing outside the plane that their coefficients span. A rhythm strip repeats its short
lead sample by sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ecg_flare.digitize.beats import MIN_SAMPLES, Signal
from ecg_flare.ecg.leads import LIMB_LEADS, limb_leads

LARGEST_DB: Final = 40.0
_COEFFICIENTS: Final = dict(zip(LIMB_LEADS, limb_leads(np.array([1.0, 0.0]), np.array([0.0, 1.0])), strict=True))


def limb_consistency_db(signals: Mapping[str, Signal]) -> float | None:
    """Return how far limb leads of the same time stand above what breaks their identities, in dB.

    Signals are of one length and any unit, NaN where nothing was read; offsets are removed. None if fewer than three
    limb leads are given, or too few samples are common to them.
    """
    names = [name for name in LIMB_LEADS if name in signals]
    if len(names) < 3:
        return None
    stacked = np.stack([signals[name] for name in names])
    known = np.isfinite(stacked).all(axis=0)
    if known.sum() < MIN_SAMPLES:
        return None
    values = stacked[:, known]
    values = values - np.median(values, axis=1, keepdims=True)
    plane, _ = np.linalg.qr(np.stack([_COEFFICIENTS[name] for name in names]))
    outside = values - plane @ (plane.T @ values)
    outside -= outside.mean(axis=1, keepdims=True)
    # the part of a random signal that would stand outside by chance is taken as the reference
    share = (len(names) - 2) / len(names)
    return _decibels(float((values**2).sum()) * share, float((outside**2).sum()))


def repeat_db(strip: Signal, short: Signal) -> float | None:
    """Return how well a stretch of a rhythm strip repeats a short lead of the same columns, as an SNR in dB."""
    known = np.isfinite(strip) & np.isfinite(short)
    if known.sum() < MIN_SAMPLES:
        return None
    a, b = strip[known] - np.median(strip[known]), short[known] - np.median(short[known])
    difference = a - b
    difference -= difference.mean()
    return _decibels(float((b**2).sum()), float((difference**2).sum()))


def correlation(a: Signal, b: Signal) -> float:
    """Return Pearson's correlation over the samples that both have; 0 if there are too few or one is constant."""
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < MIN_SAMPLES:
        return 0.0
    a, b = a[known] - a[known].mean(), b[known] - b[known].mean()
    power = float((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / np.sqrt(power)) if power > 0 else 0.0


def _decibels(signal: float, noise: float) -> float:
    if signal <= 0:
        return 0.0
    return float(min(LARGEST_DB, 10 * np.log10(signal / max(noise, 1e-12 * signal))))
