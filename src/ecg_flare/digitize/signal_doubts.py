"""What is said of a signal that may be wrong: a sentence for every doubt, with its leads and its value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from ecg_flare.digitize.confidence import CONFIDENT, GOOD_DB
from ecg_flare.digitize.leads.cut_tips import CutTip
from ecg_flare.digitize.leads.limb_noise import WINDOW_S, LimbNoise
from ecg_flare.digitize.leads.repeated_beats import OddBeat
from ecg_flare.digitize.leads.row_lags import RowLag
from ecg_flare.digitize.leads.signal_evidence import SignalEvidence, Source
from ecg_flare.digitize.leads.unread_stretches import UnreadStretch
from ecg_flare.digitize.leads.unread_strokes import UnreadStroke
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.signal_confidence import SignalConfidence

Found = TypeVar("Found", CutTip, UnreadStroke, UnreadStretch, OddBeat)

TOLD_SHARE: Final = 0.005
"""Of the signal's energy: strokes and odd beats of a lead with less are not told."""

MANY: Final = 3
"""Times that are listed one by one."""

_CAUSES: Final[Mapping[Source, str]] = {
    "pixels": "few pixels a millivolt",
    "columns": "few pixels a second",
    "limb_leads": "limb leads that contradict each other",
    "shared_ink": "rows that run into each other",
    "unread_ink": "ink that no line runs through",
    "swapped_tips": "peaks that may have been taken for another row's",
    "unread_lines": "lines that no row follows",
    "foreign_ink": "print and pen beside the lines",
    "odd_beats": "beats that are unlike the others of their lead",
    "spikes": "spikes at the leads' ends",
    "lost": "lines that are lost",
    "hidden_ends": "bars that hide steep strokes",
    "missing_ends": "ends of leads where steep strokes are lost",
    "bent_paper": "curved paper",
}


def signal_doubts(evidence: SignalEvidence, signal: SignalConfidence, calibration: Calibration) -> Iterator[str]:
    """Yield a sentence for everything that makes a signal doubtful; none for a sound one."""
    if signal.sure_but_for_faults < CONFIDENT:
        yield _low(signal, calibration)
    if evidence.boxes:
        yield f"{_listed(evidence.boxes)} begin or end with a box of 1 mV: a calibration pulse was read as signal"
    if evidence.spiked:
        yield f"a spike at the start or end of {_listed(evidence.spiked)} is like nothing else there"
    yield from (_contradiction(group) for group in evidence.limb if group.is_concentrated)
    yield from (_lag(lag) for lag in evidence.lags)
    for lead, cuts in _by_lead(evidence.cut).items():
        heights = max((cut.height_mv for cut in cuts), key=abs)
        yield f"peaks of {lead} are cut flat, at {heights:.2f} mV ({_times(cuts)})"
    for lead, found in _by_lead(evidence.unread).items():
        if sum(stroke.energy for stroke in found) >= TOLD_SHARE * evidence.energy:
            height = max(stroke.height_mm for stroke in found)
            yield (
                f"steep ink beside {lead} is no part of its line, up to {height:.0f} mm high ({_times(found)}): a peak "
                "may be cut off there"
            )
    for lead, stretches in _by_lead(evidence.unread_lines).items():
        if sum(stretch.energy for stretch in stretches) >= TOLD_SHARE * evidence.energy:
            yield f"a line beside {lead} was followed by no row ({_times(stretches)}): its own may be another row's"
    for lead, beats in _by_lead(evidence.odd).items():
        if sum(beat.energy for beat in beats) >= TOLD_SHARE * evidence.energy:
            yield f"beats of {lead} are unlike its others, and those of other leads are not ({_times(beats)})"


def _low(signal: SignalConfidence, calibration: Calibration) -> str:
    causes = ", ".join(_CAUSES[source] for source in signal.causes) or "many small doubts"
    px_per_mv = calibration.seen_px_per_mm.y * calibration.gain_mm_per_mv
    return (
        f"the signal has about {signal.expected_db:.0f} dB, and {GOOD_DB:g} are wanted, at {px_per_mv:.0f} pixels a "
        f"millivolt; the noise is mostly that of {causes}"
    )


def _contradiction(group: LimbNoise) -> str:
    return (
        f"{_listed(group.leads)} contradict each other by {group.worst_mv:.2f} mV from {group.worst_s:.1f} to "
        f"{group.worst_s + WINDOW_S:.1f} s, and hardly at other times"
    )


def _lag(lag: RowLag) -> str:
    side = "after" if lag.lag_s > 0 else "before"
    return f"{lag.lead} stands {abs(lag.lag_s) * 1000:.0f} ms {side} {_listed(lag.others)}: rows may lean"


def _by_lead(found: Iterable[Found]) -> Mapping[str, list[Found]]:
    by_lead: dict[str, list[Found]] = {}
    for one in found:
        by_lead.setdefault(one.lead, []).append(one)
    return by_lead


def _times(found: Sequence[CutTip] | Sequence[UnreadStroke] | Sequence[UnreadStretch] | Sequence[OddBeat]) -> str:
    times = sorted(one.time_s for one in found)
    if len(times) > MANY:
        return f"{len(times)} times from {times[0]:.1f} to {times[-1]:.1f} s"
    return f"at {', '.join(f'{time_s:.1f}' for time_s in times)} s"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
