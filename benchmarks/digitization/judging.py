"""Whether a page was read rightly: its layout, speed and gains, and which lead is which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.leads import LIMB_LEADS
from ecg_flare.ecg.metrics import KAGGLE_MAX_SHIFT_S, align, evaluate_recording, pcc
from ecg_flare.ecg.record import Recording

TOLERANCE: Final = 0.03
"""Of speed and gain."""
STRIPS: Final = frozenset({"1x1", "3x1"})
"""Layouts of strips whose leads are for labels to say: they are right when the leads are."""
SAME_PLACES: Final = MappingProxyType({"3x5-V3R": "3x5"})
"""Layouts that differ from one of the package in the names of extra leads alone, which are for labels to say, too."""
_ALIKE: Final = 0.9


@dataclass(frozen=True)
class Print:
    """How a page is printed: truly, or as it was read. `leads` are those that it shows."""

    layout: str
    speed_mm_per_s: float
    gain_mm_per_mv: float
    chest_gain_mm_per_mv: float
    leads: tuple[str, ...]

    def gain_of(self, lead: str) -> float:
        """Gain of a lead, in mm/mV."""
        return self.gain_mm_per_mv if lead in LIMB_LEADS else self.chest_gain_mm_per_mv


@dataclass(frozen=True)
class Verdict:
    """What of a page was read rightly. Gains count for the leads that the page shows."""

    layout: bool
    speed: bool
    gain: bool
    leads: bool

    @property
    def right(self) -> bool:
        """Whether everything was."""
        return self.layout and self.speed and self.gain and self.leads


def as_read(result: Digitization) -> Print:
    """How the digitizer says that the page is printed."""
    calibration, recording = result.calibration, result.recording
    return Print(
        result.layout,
        calibration.speed_mm_per_s,
        calibration.gain_mm_per_mv,
        calibration.chest_gain_mm_per_mv,
        shown_leads(recording),
    )


def shown_leads(recording: Recording) -> tuple[str, ...]:
    """The leads of a recording that have a signal."""
    present = np.isfinite(recording.signal_mv).any(axis=1)
    return tuple(lead for lead, there in zip(recording.lead_names, present, strict=True) if there)


def judge(found: Print, true: Print, mistaken: Mapping[str, str]) -> Verdict:
    """Compare what was read with what is printed; `mistaken` are the leads of `mistaken_leads`."""
    leads = set(found.leads) == set(true.leads) and not mistaken
    return Verdict(
        layout=found.layout == SAME_PLACES.get(true.layout, true.layout) or (true.layout in STRIPS and leads),
        speed=_near(found.speed_mm_per_s, true.speed_mm_per_s),
        gain=all(_near(found.gain_of(lead), true.gain_of(lead)) for lead in true.leads),
        leads=leads,
    )


def mistaken_leads(read: Recording, truth: Recording) -> dict[str, str]:
    """Return the leads whose signal is that of another lead, or of itself upside down ("-aVR"), by correlation.

    A lead is another one where the part of its variance that the other leaves unexplained is less than half of what
    its own truth leaves, and the correlation above 0.9. Sizes mean nothing here: they are the gain's affair.
    """
    own = {score.lead: score.pcc for score in evaluate_recording(read, truth).leads}
    on_grid = read.arranged(truth.lead_names).resampled(truth.fs_hz)
    prints = {lead: truth.lead(lead) for lead in own}
    mistaken = {}
    for lead in (lead for lead in own if lead in shown_leads(read)):
        others = {other: signal for other, signal in prints.items() if other != lead} | {f"-{lead}": -prints[lead]}
        alike = {other: _likeness(on_grid.lead(lead), signal, truth.fs_hz) for other, signal in others.items()}
        best = max(alike, key=alike.__getitem__)
        if alike[best] > _ALIKE and 1 - alike[best] ** 2 < (1 - max(own[lead], 0.0) ** 2) / 2:
            mistaken[lead] = best
    return mistaken


def _likeness(read_mv: Float64[np.ndarray, " n"], truth_mv: Float64[np.ndarray, " m"], fs_hz: float) -> float:
    length = min(len(read_mv), len(truth_mv))
    read, truth = read_mv[None, :length], truth_mv[None, :length]
    common = np.isfinite(read) & np.isfinite(truth)
    if common.sum() < np.isfinite(truth).sum() / 2:
        return 0.0
    found = pcc(align(read, truth, fs_hz, KAGGLE_MAX_SHIFT_S).signal_mv, truth)
    return found if np.isfinite(found) else 0.0


def _near(found: float, true: float) -> bool:
    return abs(found / true - 1) < TOLERANCE
