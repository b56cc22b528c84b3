"""What comes of one page: the recording, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.checks import ConsistencyChecks
from ecg_flare.digitize.leads.column_times import ColumnTimes
from ecg_flare.digitize.leads.lead_reading import LeadReading
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.rectify.normalize import NormalizedPage
from ecg_flare.digitize.signal_confidence import SignalConfidence
from ecg_flare.digitize.words.findings import Finding
from ecg_flare.ecg.intervals.intervals import Intervals
from ecg_flare.ecg.intervals.measure import measure_intervals
from ecg_flare.ecg.record import Recording


@dataclass(frozen=True, eq=False)
class Digitization:
    """A page read: the recording, where each lead was found, and how sure that is.

    `recording` holds twelve leads in mV, and after them what extra ones the page prints, NaN where nothing was printed.
    `page` is the upright page that all pixels refer to, `polylines` one line a row in its pixels (x, y; NaN where there
    is no ink), `leads` the stretches of leads along them. `confidence` (0 to 1) is for the whole: scale, speed, gain,
    layout, lines, and the `signal`, which has a confidence of its own; `confidence_but_for_signal` leaves that out.
    `warnings` are sentences, never empty below CONFIDENT. `seconds` are by stage. `findings` are what the machine
    printed of its own measurements and settings, where print was read.
    """

    recording: Recording
    page: NormalizedPage
    calibration: Calibration
    layout: str
    layout_confidence: float
    columns: ColumnTimes
    leads: tuple[LeadReading, ...]
    polylines: tuple[Float64[np.ndarray, "k 2"], ...]
    checks: ConsistencyChecks
    signal: SignalConfidence
    confidence: float
    confidence_but_for_signal: float
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    findings: tuple[Finding, ...] = ()

    @cached_property
    def intervals(self) -> Intervals:
        """The intervals measured on the recording, whatever its confidence."""
        return measure_intervals(self.recording)

    @property
    def n_gaps(self) -> int:
        """How often the lines of all leads together are broken."""
        return sum(lead.gaps for lead in self.leads)

    @property
    def coverage(self) -> Mapping[str, float]:
        """For each lead that the page prints, the share of its time span whose ink was found: of its longest.

        A stretch whose name is a guess counts only where the lead stands nowhere else.
        """
        longest_last = sorted(self.leads, key=lambda lead: (not lead.span.guessed, lead.span.duration_s))
        return MappingProxyType({lead.span.lead: lead.coverage for lead in longest_last})
