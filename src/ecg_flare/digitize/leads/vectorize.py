"""Polylines in pixels become leads in mV at an even rate.

Between the points of a polyline the signal follows PCHIP (Fritsch & Carlson 1980): smooth, and never beyond its points,
so that no peak is invented. Every lead's zero is its own median: paper knows no zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.leads.lead_span import LeadSpan, kept_spans
from ecg_flare.ecg.leads import LEADS, with_extra

LONGEST_BRIDGE_S: Final = 0.03  # a longer gap in the ink stays NaN: a QRS may have been lost in it
EDGE_S: Final = 0.012  # so near to a stretch's ends its first and last sample hold


def vectorize(
    polylines: Sequence[Float64[np.ndarray, "k 2"]],
    spans: Sequence[LeadSpan],
    px_per_mv: Callable[[str], float],
    fs_hz: float,
) -> Float32[np.ndarray, "leads samples"]:
    """Return the leads of `recorded_leads` in mV, from time 0 to the end of the last span.

    `polylines` are one a row, (x, y) in pixels with NaN where there is no ink, and `px_per_mv` tells the scale of each
    lead. Of a lead that is printed twice the longer stretch is taken; one whose name is a guess only where the lead
    stands nowhere else. Samples that were not printed, or whose ink is lost, are NaN.
    """
    if not spans:
        return np.full((len(LEADS), 0), np.nan, np.float32)
    n_samples = round(max(span.end_s for span in spans) * fs_hz)
    lead_names = recorded_leads(spans)
    signal = np.full((len(lead_names), n_samples), np.nan, np.float32)
    for span in kept_spans(spans):
        first, values = _read_span(polylines[span.row], span, fs_hz)
        if not np.isfinite(values).any():
            continue
        millivolt = -values / px_per_mv(span.lead)
        millivolt = millivolt - np.nanmedian(millivolt)
        last = min(n_samples, first + len(values))
        row = signal[lead_names.index(span.lead)]
        row[first:last] = (-millivolt if span.inverted else millivolt)[: last - first]
    return signal


def recorded_leads(spans: Sequence[LeadSpan]) -> tuple[str, ...]:
    """Return the leads of a page's recording: the twelve, printed or not, and what extra ones it prints."""
    return with_extra(span.lead for span in spans)


def _read_span(
    polyline: Float64[np.ndarray, "k 2"], span: LeadSpan, fs_hz: float
) -> tuple[int, Float64[np.ndarray, " n"]]:
    """Return the index of the span's first sample, and y in pixels at each of its samples."""
    from scipy.interpolate import PchipInterpolator

    seconds_per_px = span.seconds_per_px
    first, after = int(np.ceil(span.start_s * fs_hz - 1e-6)), int(np.ceil(span.end_s * fs_hz - 1e-6))
    times = np.arange(first, after) / fs_hz
    points = polyline[span.holds(polyline[:, 0]) & np.isfinite(polyline[:, 1])]
    if len(points) < 2:
        return first, np.full(len(times), np.nan)
    at = span.start_s + (points[:, 0] - span.left_px) * seconds_per_px
    # up to the border the nearest sample holds; beyond that nothing was printed
    values = PchipInterpolator(at, points[:, 1])(np.clip(times, at[0], at[-1]))
    nearest = np.clip(np.searchsorted(at, times), 1, len(at) - 1)
    lost = (at[nearest] - at[nearest - 1] > LONGEST_BRIDGE_S) & (times > at[nearest - 1]) & (times < at[nearest])
    reach = EDGE_S + 1 / fs_hz
    lost |= (times < at[0] - reach) | (times > at[-1] + reach)
    return first, np.where(lost, np.nan, values)
