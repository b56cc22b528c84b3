"""Measure a recording's intervals: its beats, the median beat, the waves on it. Not a medical device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.ecg.intervals.axis import frontal_axis_deg
from ecg_flare.ecg.intervals.heartbeats import find_beats
from ecg_flare.ecg.intervals.intervals import QUANTITIES, Intervals, qtc_bazett_ms, qtc_fridericia_ms
from ecg_flare.ecg.intervals.median_beat import MedianBeat, median_beats
from ecg_flare.ecg.intervals.qrs import LONGEST_MS, SHORTEST_MS, Complex, find_complex
from ecg_flare.ecg.intervals.waves import Edge, p_onset, t_end, t_tip
from ecg_flare.ecg.record import Recording

FS_HZ: Final = 500.0
"""At which intervals are measured, whatever the recording's own rate."""

DEFAULT_RR_S: Final = 1.0
FAST_RR_S: Final = 0.6
PLAUSIBLE_QTC_MS: Final = (300.0, 700.0)
"""By Fridericia; another one is a wave that was taken for T and is none."""

_NO_BEAT: Final = "no heartbeat was found"
_NO_INTERVAL: Final = "fewer than two heartbeats follow each other"
_NO_QRS: Final = f"no QRS complex of {SHORTEST_MS:g} to {LONGEST_MS:g} ms was found"
_P_OR_T: Final = "the beats follow each other closely, and P cannot be told from a T wave whose end is not clear"


def measure_intervals(recording: Recording) -> Intervals:
    """Measure what a recording shows of HR, PR, QRS, QT, QTc and the QRS axis.

    Leads may be NaN for any stretch, as a page prints them. What cannot be measured is None, with the reason.
    """
    signal = recording.arranged().resampled(FS_HZ).signal_mv.astype(np.float64)
    beats = find_beats(signal, FS_HZ)
    if len(beats.at) == 0:
        return nothing_measured(_NO_BEAT)
    rr = beats.rr_s(FS_HZ)
    usual_rr_s = float(np.median(rr)) if len(rr) else DEFAULT_RR_S
    found = (_delineate(beat, usual_rr_s) for beat in median_beats(signal, beats.at, usual_rr_s, FS_HZ))
    groups = [group for group in found if group is not None]
    return _Settled(groups, float(np.mean(rr)) if len(rr) else None, len(beats.at)).intervals()


def nothing_measured(reason: str, beats: int = 0) -> Intervals:
    """Return intervals none of which was measured, all for one reason."""
    return Intervals(beats=beats, not_measured=dict.fromkeys(QUANTITIES, reason))


@dataclass(frozen=True, eq=False)
class _Delineated:
    """A median beat with its QRS complex, where P begins, and where T ends, in samples."""

    beat: MedianBeat
    qrs: Complex
    p: Edge
    t: Edge


def _delineate(beat: MedianBeat, rr_s: float) -> _Delineated | None:
    qrs = find_complex(beat, FS_HZ)
    if qrs is None:
        return None
    tip = t_tip(beat, qrs, rr_s, FS_HZ)
    p = p_onset(beat, qrs, tip, rr_s, FS_HZ)
    t = t_end(beat, tip, p, rr_s, FS_HZ)
    if t.sample is not None:
        corrected = qtc_fridericia_ms(_ms(qrs.onset, t.sample), rr_s)
        if not PLAUSIBLE_QTC_MS[0] <= corrected <= PLAUSIBLE_QTC_MS[1]:
            t = Edge(None, f"what looks like the T wave's end would make QTc {corrected:.0f} ms")
    if t.sample is None and p.sample is not None and rr_s < FAST_RR_S:
        p = Edge(None, _P_OR_T)
    return _Delineated(beat, qrs, p, t)


def _ms(first: int, last: int) -> float:
    return 1000.0 * (last - first) / FS_HZ


@dataclass(frozen=True)
class _Settled:
    """Intervals of several groups of leads: the median over the groups, where half of them show one."""

    groups: Sequence[_Delineated]
    rr_s: float | None
    beats: int

    def intervals(self) -> Intervals:
        qrs = self._median([_ms(one.qrs.onset, one.qrs.end) for one in self.groups])
        pr = self._median([_ms(one.p.sample, one.qrs.onset) for one in self.groups if one.p.sample is not None])
        qt = self._median([_ms(one.qrs.onset, one.t.sample) for one in self.groups if one.t.sample is not None])
        axis, no_axis = self._axis()
        no_rate = _NO_INTERVAL if self.rr_s is None else ""
        no_qt = "" if qt is not None else _why([one.t for one in self.groups])
        reasons = {
            "heart_rate_bpm": no_rate,
            "pr_ms": "" if pr is not None else _why([one.p for one in self.groups]),
            "qrs_ms": "" if qrs is not None else _NO_QRS,
            "qt_ms": no_qt,
            "qtc_bazett_ms": no_qt or no_rate,
            "qtc_fridericia_ms": no_qt or no_rate,
            "axis_deg": no_axis,
        }
        return Intervals(
            heart_rate_bpm=None if self.rr_s is None else 60.0 / self.rr_s,
            pr_ms=pr,
            qrs_ms=qrs,
            qt_ms=qt,
            qtc_bazett_ms=None if qt is None or self.rr_s is None else qtc_bazett_ms(qt, self.rr_s),
            qtc_fridericia_ms=None if qt is None or self.rr_s is None else qtc_fridericia_ms(qt, self.rr_s),
            axis_deg=axis,
            beats=self.beats,
            not_measured={name: reason for name, reason in reasons.items() if reason},
        )

    def _median(self, values: Sequence[float]) -> float | None:
        return float(np.median(values)) if values and 2 * len(values) >= len(self.groups) else None

    def _axis(self) -> tuple[float | None, str]:
        complexes = [row for one in self.groups for row in one.beat.signal_mv[:, one.qrs.onset : one.qrs.end]]
        return frontal_axis_deg(complexes, [lead for one in self.groups for lead in one.beat.leads])


def _why(edges: Sequence[Edge]) -> str:
    """Return why an interval was not measured: what most of the groups say."""
    reasons = [edge.why_not for edge in edges if edge.why_not]
    return max(reasons, key=reasons.count) if reasons else _NO_QRS
