"""Boxes of 1 mV at a lead's start or end: a calibration pulse that was read as signal.

A pulse is a rectangle: it leaves the baseline and comes back by 1 mV, each time within the width of a stroke, and its
top is flat. A QRS complex has slopes as steep, but no flat top a tenth of a second long. So this is looked for in the
finished signal, where a millivolt of the page's own gain is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from ecg_flare.digitize.leads.lead_span import LeadSpan, recorded_spans
from ecg_flare.ecg.record import Recording

REACH_S: Final = 0.6  # from a lead's end to the far edge of its pulse
TOPS_S: Final = (0.06, 0.25)  # of a pulse of 0.1 or 0.2 s, whose edges are up to EDGE_S wide
EDGE_S: Final = 0.024  # a stroke 0.5 mm wide at 25 mm/s, and the fit's slope beside it
PULSE_MV, TOLERANCE_MV = 1.0, 0.08
BESIDE_S: Final = 0.04  # of base line beside the pulse that its height is measured from
SLANT_MV: Final = 0.15  # by which the base line moves beside a pulse, and differs before and after it


def pulse_boxes(recording: Recording, spans: Sequence[LeadSpan]) -> tuple[str, ...]:
    """Return the leads that begin or end with a flat-topped box of 1 mV, 0.1 to 0.25 s wide, shorter stretches first.

    Of a lead with several stretches the longest one is looked at, which is the one that the recording holds.
    """
    reach = round(REACH_S * recording.fs_hz)
    found = []
    for lead, span in recorded_spans(spans).items():
        signal = recording.lead(lead)[span.samples(recording.fs_hz)].astype(np.float64)
        signal = signal[np.isfinite(signal)] * (-1.0 if span.inverted else 1.0)
        at_start = begins_with_box(signal[:reach], recording.fs_hz, cut=True)
        if at_start or begins_with_box(signal[::-1][:reach], recording.fs_hz, cut=False):
            found.append(lead)
    return tuple(found)


def begins_with_box(signal_mv: Float64[np.ndarray, " n"], fs_hz: float, cut: bool) -> bool:
    """Whether a stretch of a signal begins with a box of 1 mV.

    `cut` also takes a box whose first edge, and the base line before it, lie beyond the stretch. At a lead's end it is
    not asked for: some recorders hold their last value for as long as that.
    """
    edge, beside = max(1, round(EDGE_S * fs_hz)), max(2, round(BESIDE_S * fs_hz))
    least, most = (round(top * fs_hz) for top in TOPS_S)
    falls = np.flatnonzero(signal_mv[:-edge] - signal_mv[edge:] > PULSE_MV - TOLERANCE_MV) + edge
    for after in falls:
        base = signal_mv[after : after + beside]
        if len(base) < beside or np.ptp(base) > SLANT_MV:
            continue
        height = signal_mv[: after - edge + 1] - float(np.median(base))
        top = _run_at_end(np.abs(height - PULSE_MV) <= TOLERANCE_MV)
        if least <= top <= most and _rises(height[: len(height) - top], edge, beside, cut):
            return True
    return False


def _rises(before: Float64[np.ndarray, " n"], edge: int, beside: int, cut: bool) -> bool:
    """Whether what stands before a box's top, measured from the base line after it, is a base line and an edge."""
    if len(before) < edge + beside:
        return cut and bool(np.all(before < PULSE_MV + TOLERANCE_MV))
    base = before[-edge - beside : -edge]
    return bool(np.all(np.abs(base) < SLANT_MV))


def _run_at_end(mask: Bool[np.ndarray, " n"]) -> int:
    """Return how many of a mask's last values are set."""
    unset = np.flatnonzero(~mask)
    return len(mask) - 1 - int(unset[-1]) if len(unset) else len(mask)
