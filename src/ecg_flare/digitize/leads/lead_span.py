"""Where a lead stands on a page: its row, its stretch of x, its stretch of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64


@dataclass(frozen=True)
class LeadSpan:
    """One lead's place: its row, its stretch of x in pixels and of time in seconds.

    `is_rhythm` marks a rhythm strip, `inverted` a lead that is printed upside down, `guessed` a strip whose name
    neither a label says nor a short lead that it clearly repeats.
    """

    lead: str
    row: int
    left_px: float
    right_px: float
    start_s: float
    end_s: float
    is_rhythm: bool
    inverted: bool = False
    guessed: bool = False

    @property
    def title(self) -> str:
        """The lead's name, told apart from its short stretch where it is a rhythm strip."""
        return f"{self.lead} rhythm" if self.is_rhythm else self.lead

    @property
    def duration_s(self) -> float:
        """Seconds of the recording that the stretch shows."""
        return self.end_s - self.start_s

    @property
    def seconds_per_px(self) -> float:
        """Seconds of the recording that a pixel of the page shows."""
        return self.duration_s / (self.right_px - self.left_px)

    def meets(self, other: LeadSpan) -> bool:
        """Return whether both show a stretch of the same time."""
        return self.start_s < other.end_s and other.start_s < self.end_s

    def samples(self, fs_hz: float) -> slice:
        """Return which samples of a recording the stretch shows."""
        return slice(round(self.start_s * fs_hz), round(self.end_s * fs_hz))

    def holds(self, x_px: Float64[np.ndarray, " k"]) -> Bool[np.ndarray, " k"]:
        """Return which places lie in the stretch, its ends among them."""
        inside: Bool[np.ndarray, " k"] = (x_px >= self.left_px) & (x_px <= self.right_px)
        return inside


def goes_on(spans: Sequence[LeadSpan]) -> bool:
    """Return whether these are the stretches of one lead, each at a time of its own."""
    by_time = sorted(spans, key=lambda span: span.start_s)
    one_lead = len({span.lead for span in spans}) == 1
    return one_lead and len(spans) > 1 and all(later.start_s >= one.end_s - 1e-6 for one, later in pairwise(by_time))


def kept_spans(spans: Sequence[LeadSpan]) -> tuple[LeadSpan, ...]:
    """Return the stretches without those whose name is a guess and whose lead stands elsewhere, shorter ones first."""
    known = {span.lead for span in spans if not span.guessed}
    kept = (span for span in spans if not (span.guessed and span.lead in known))
    return tuple(sorted(kept, key=lambda span: span.duration_s))


def recorded_spans(spans: Sequence[LeadSpan]) -> Mapping[str, LeadSpan]:
    """Return for each lead the stretch that the recording holds: the longest of those that are kept."""
    return {span.lead: span for span in kept_spans(spans)}
