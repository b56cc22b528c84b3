"""The limb leads' gain and the chest leads', each from the pulses that stand beside its own leads.

Where limb and chest leads stand in rows or columns of their own, each has its own pulses, and they may differ in
height. A pulse at the start of a row of both is the first lead's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ecg_flare.digitize.confidence import UNWITNESSED_GAIN
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.measure.calibration import BY_PULSES, Calibration, ChestGain
from ecg_flare.digitize.measure.pulse import Pulse, usual_gain
from ecg_flare.ecg.leads import LIMB_LEADS

BESIDE_MM: Final = 25.0  # from a pulse to its lead
OWN_ROW: Final = 0.5  # of the distance between rows
MIN_OWN: Final = 2  # leads whose own pulses agree
AGREEING: Final = 0.75


def settle_gains(
    calibration: Calibration,
    spans: Sequence[LeadSpan],
    pulses: Sequence[Pulse],
    levels_px: Sequence[float],
) -> Calibration:
    """Return the calibration with the gains that the leads' own pulses say; `levels_px` are the rows' resting levels.

    A gain that was given stays, and so does one that stepped pulses said. Where rows of chest leads have pulses, and
    no row of limb leads has one, these are in doubt.
    """
    measured = calibration.method not in BY_PULSES and calibration.gain_source == "measured"
    if not measured or calibration.chest is not None:
        return calibration
    limb, chest = (_common_gain(calibration, spans, pulses, levels_px, of_chest) for of_chest in (False, True))
    if chest is None:
        return calibration
    if limb is None:
        own = replace(calibration, chest=ChestGain(chest, "measured"))
        limb_rows = {span.row for span in spans if span.lead in LIMB_LEADS}
        seen = any(_beside_row(pulse, row, levels_px) for row in limb_rows for pulse in pulses)
        return own if seen or not limb_rows else _limb_gain_doubted(own)
    return replace(calibration, gain_mm_per_mv=limb, chest=ChestGain(chest, "measured"))


def _limb_gain_doubted(calibration: Calibration) -> Calibration:
    note = (
        f"the pulses beside chest leads say {calibration.chest_gain_mm_per_mv:g} mm/mV, and none was read beside limb "
        "leads: these may have another gain"
    )
    return replace(
        calibration,
        confidence=round(calibration.confidence * UNWITNESSED_GAIN, 3),
        warnings=(*calibration.warnings, note),
    )


def _common_gain(
    calibration: Calibration,
    spans: Sequence[LeadSpan],
    pulses: Sequence[Pulse],
    levels_px: Sequence[float],
    of_chest: bool,
) -> float | None:
    """Return the gain that most own pulses of the limb leads, or of the chest leads, say; None where they are few."""
    own = [_own_pulse(span, spans, pulses, levels_px, calibration.px_per_mm.x) for span in spans]
    found = [
        usual_gain(pulse.height_px / calibration.px_per_mm.y)
        for span, pulse in zip(spans, own, strict=True)
        if pulse is not None and (span.lead not in LIMB_LEADS) == of_chest
    ]
    gains = [gain for gain in found if gain is not None]
    if len(gains) < MIN_OWN:
        return None
    commonest = max(gains, key=gains.count)
    return commonest if gains.count(commonest) >= AGREEING * len(found) else None


def _own_pulse(
    span: LeadSpan,
    spans: Sequence[LeadSpan],
    pulses: Sequence[Pulse],
    levels_px: Sequence[float],
    px_per_mm_x: float,
) -> Pulse | None:
    """Return the pulse that stands before a lead in its row, or after it if it is the row's only lead."""
    row = [pulse for pulse in pulses if _beside_row(pulse, span.row, levels_px)]
    reach = BESIDE_MM * px_per_mm_x
    before = [pulse for pulse in row if 0 <= span.left_px - pulse.right_px + px_per_mm_x < reach + px_per_mm_x]
    alone = sum(other.row == span.row for other in spans) == 1
    after = [pulse for pulse in row if alone and -px_per_mm_x < pulse.left_px - span.right_px < reach]
    return max(before, key=lambda pulse: pulse.right_px, default=after[0] if after else None)


def _beside_row(pulse: Pulse, row: int, levels_px: Sequence[float]) -> bool:
    spacing = float(np.diff(levels_px).min()) if len(levels_px) > 1 else np.inf
    return abs(pulse.foot_px - levels_px[row]) < OWN_ROW * spacing
