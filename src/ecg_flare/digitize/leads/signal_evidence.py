"""What the reading itself says of its noise: every source as a share of the signal's energy, and where it was seen.

None of these needs the truth. signal_confidence.py weighs them, conclusion.py says them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np

from ecg_flare.digitize.leads.assign import Assignment
from ecg_flare.digitize.leads.bent_paper import bend_energy
from ecg_flare.digitize.leads.border_spikes import EDGE_S, border_spikes, spiked_leads
from ecg_flare.digitize.leads.cut_tips import CutTip, cut_tips
from ecg_flare.digitize.leads.hidden_ends import hidden_energy, missing_energy
from ecg_flare.digitize.leads.lead_span import recorded_spans
from ecg_flare.digitize.leads.limb_noise import LimbNoise, limb_noise
from ecg_flare.digitize.leads.lost_share import lost_share
from ecg_flare.digitize.leads.pulse_boxes import pulse_boxes
from ecg_flare.digitize.leads.repeated_beats import OddBeat, beat_samples, odd_beats
from ecg_flare.digitize.leads.resolution import column_error
from ecg_flare.digitize.leads.row_lags import RowLag, row_lags
from ecg_flare.digitize.leads.shared_ink import shared_energy
from ecg_flare.digitize.leads.unread_stretches import UnreadStretch, unread_stretches
from ecg_flare.digitize.leads.unread_strokes import UnreadStroke, may_be_peaks, unread_strokes
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.ecg.record import Recording

Source = Literal[
    "pixels",
    "columns",
    "limb_leads",
    "shared_ink",
    "unread_ink",
    "swapped_tips",
    "unread_lines",
    "foreign_ink",
    "odd_beats",
    "spikes",
    "lost",
    "hidden_ends",
    "missing_ends",
    "bent_paper",
]
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

LEAST_ENERGY: Final = 1e-9
"""mV^2 s: a recording without a signal."""


@dataclass(frozen=True, eq=False)
class SignalEvidence:
    """Noise by its source, and the places where it was seen.

    `energy` is that of the recording, in mV^2 times seconds of all its leads. `noise` is each source's share of it:
    `pixels` that of one pixel's error in every sample, `columns` what one value a pixel column loses, `limb_leads` what
    breaks their identities, in every lead; `shared_ink`, `unread_ink`, `odd_beats`, `spikes` what is lost if these are
    errors, `swapped_tips` the unread ink of leads that share ink, `unread_lines` what is lost if level ink beside a
    lead is its line, `foreign_ink` the unread ink that is no peak's; `lost` what the leads' time without ink has;
    `hidden_ends` what bars may hide, `missing_ends` what ends without ink may have; `bent_paper` what leads lose whose
    ends stand aside by the paper's bend.

    Beats count as odd only in leads whose ink is in doubt: hearts have extra beats. `boxes` names the leads that begin
    or end with a calibration pulse, `spiked` those with a spike at an end.
    """

    noise: Mapping[Source, float]
    energy: float
    limb: tuple[LimbNoise, ...] = ()
    lags: tuple[RowLag, ...] = ()
    odd: tuple[OddBeat, ...] = ()
    cut: tuple[CutTip, ...] = ()
    unread: tuple[UnreadStroke, ...] = ()
    unread_lines: tuple[UnreadStretch, ...] = ()
    boxes: tuple[str, ...] = ()
    spiked: tuple[str, ...] = ()


def signal_evidence(
    recording: Recording, lines: PageLines, assignment: Assignment, calibration: Calibration, bend: float
) -> SignalEvidence:
    """Return what the reading says of its own noise.

    The assignment is in the pixels of `lines`; `bend` is by how much curved paper leaves its plane, a length of it.
    """
    spans = assignment.spans
    energy = max(float(np.nansum(recording.around_medians() ** 2)) / recording.fs_hz, LEAST_ENERGY)
    seconds = float(np.isfinite(recording.signal_mv).sum()) / recording.fs_hz
    scale = lines.raster.scale.scaled(1 / calibration.enlarged, 1 / calibration.enlarged)
    limb, cut = limb_noise(recording), cut_tips(recording)
    strokes = unread_strokes(lines, spans, calibration.gain_of)
    unread = may_be_peaks(strokes, np.array(beat_samples(recording)) / recording.fs_hz)
    shared = shared_energy(recording, lines.rows, spans)
    sharing = {recording.lead_names[row] for row in np.flatnonzero(shared)}
    touched = sharing | {stroke.lead for stroke in strokes} | {tip.lead for tip in cut}
    odd = tuple(beat for beat in odd_beats(recording) if beat.lead in touched) if touched else ()
    limb_power = _mean_power(limb)
    stretches = unread_stretches(lines, spans, calibration.gain_of)
    spikes, recorded = border_spikes(recording, spans), tuple(recorded_spans(spans).values())
    noise: dict[Source, float] = {
        "pixels": _pixel_energy(recording, scale.y, calibration) / energy,
        "columns": float(column_error(recording, scale.x * calibration.speed_mm_per_s).sum()) / energy,
        "limb_leads": limb_power * seconds / energy,
        "shared_ink": float(shared.sum()) / energy,
        "unread_ink": sum(stroke.energy for stroke in unread) / energy,
        "swapped_tips": sum(stroke.energy for stroke in unread if stroke.lead in sharing) / energy,
        "unread_lines": sum(stretch.energy for stretch in stretches) / energy,
        "foreign_ink": sum(stroke.energy for stroke in strokes if stroke not in unread) / energy,
        "odd_beats": sum(beat.energy for beat in odd) / energy,
        "spikes": sum(spike.height_mv**2 for spike in spikes) * EDGE_S / 2 / energy,
        "lost": lost_share(recording, spans),
        "hidden_ends": hidden_energy(recording, recorded, assignment.bars) / energy,
        "missing_ends": missing_energy(recording, recorded) / energy,
        "bent_paper": bend_energy(recording, bend, calibration.speed_mm_per_s, calibration.gain_of) / energy,
    }
    return SignalEvidence(
        noise=MappingProxyType(noise),
        energy=energy,
        limb=limb,
        lags=row_lags(recording),
        odd=odd,
        cut=cut,
        unread=unread,
        unread_lines=stretches,
        boxes=pulse_boxes(recording, spans),
        spiked=spiked_leads(spikes),
    )


def _pixel_energy(recording: Recording, px_per_mm: float, calibration: Calibration) -> float:
    """Return the energy of an error of one pixel in every sample, in mV^2 times seconds."""
    known = np.isfinite(recording.signal_mv).sum(axis=1) / recording.fs_hz
    mv_per_px = [1.0 / (px_per_mm * calibration.gain_of(lead)) for lead in recording.lead_names]
    return float((known * np.square(mv_per_px)).sum())


def _mean_power(limb: Sequence[LimbNoise]) -> float:
    samples = sum(group.n_samples for group in limb)
    return sum(group.noise_mv**2 * group.n_samples for group in limb) / samples if samples else 0.0
