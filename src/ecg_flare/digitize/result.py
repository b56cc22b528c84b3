"""What comes of one page: the recording, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.assign import LeadSpan
from ecg_flare.digitize.leads.checks import ConsistencyChecks
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.rectify.normalize import NormalizedPage
from ecg_flare.ecg.record import Recording

CONFIDENT: Final = 0.75
"""A result below this confidence always carries a warning."""

WHOLE: Final = 0.9
"""A lead of less coverage is named in a warning."""


OVERLAPPING: Final = 0.006
"""A stretch that shares more of its columns' ink with another row is named in a warning."""


@dataclass(frozen=True, eq=False)
class Digitization:
    """A page read: the recording, where each lead was found, and how sure that is.

    `recording` holds twelve leads in mV, NaN where nothing was printed. `page` is the upright page that all pixels
    refer to, `polylines` one line a row in its pixels (x, y; NaN where there is no ink), `spans` the leads along them,
    `gaps` how often the line of each span is broken, `shared` in which share of its columns its ink is another row's,
    too.
    `confidence` (0 to 1) is for the whole: scale, speed, gain, layout, lines; `warnings` are sentences, never empty
    below CONFIDENT. `seconds` by stage.
    """

    recording: Recording
    page: NormalizedPage
    calibration: Calibration
    layout: str
    layout_confidence: float
    columns: Literal["consecutive", "simultaneous"]
    spans: tuple[LeadSpan, ...]
    gaps: tuple[int, ...]
    shared: tuple[float, ...]
    polylines: tuple[Float64[np.ndarray, "k 2"], ...]
    checks: ConsistencyChecks
    confidence: float
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]

    @property
    def coverage(self) -> Mapping[str, float]:
        """For each lead that the page prints, the share of its time span whose ink was found."""
        longest_last = sorted(self.spans, key=lambda span: span.end_s - span.start_s)
        return MappingProxyType({span.lead: self.span_coverage(span) for span in longest_last})

    def span_coverage(self, span: LeadSpan) -> float:
        """The share of a stretch's time whose ink was found."""
        fs_hz = self.recording.fs_hz
        stretch = self.recording.lead(span.lead)[round(span.start_s * fs_hz) : round(span.end_s * fs_hz)]
        return float(np.isfinite(stretch).mean()) if len(stretch) else 0.0
