"""What a reading lost with the stretches in which no ink was found, as a share of the signal's energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.lead_span import LeadSpan, recorded_spans
from ecg_flare.ecg.record import Recording

LEAST_COURSE: Final = 0.05
"""Of the mean: what a moment has at least of the energy, where all leads rest."""

_SILENT: Final = 1e-12  # mV^2


def lost_share(recording: Recording, spans: Sequence[LeadSpan]) -> float:
    """Return the share of the energy that is lost with the leads' time without ink.

    When a heart's energy comes all leads know: so the others say how much of a lead's own is lost. A beat that is lost
    is more than its time. Where no lead is known, time is all there is.
    """
    squares = np.square(recording.around_medians())
    known = np.isfinite(squares)
    powers = np.nansum(squares, axis=1) / np.maximum(known.sum(axis=1), 1)
    usual = powers[known.any(axis=1)].mean() if known.any() else 1.0
    relative = np.where(known, squares / np.maximum(powers, _SILENT)[:, None], 0.0)
    witnesses = known.sum(axis=0)
    usual_course = np.maximum(relative.sum(axis=0) / np.maximum(witnesses, 1), LEAST_COURSE)
    course = np.where(witnesses > 0, usual_course, 1.0)
    lost = whole = 0.0
    for span in recorded_spans(spans).values():
        lead, samples = recording.lead_names.index(span.lead), span.samples(recording.fs_hz)
        seen = known[lead, samples]
        expected = float(course[samples].sum())
        found = float(course[samples][seen].sum())
        energy = float(np.nansum(squares[lead, samples])) * expected / found if found > 0 else usual * expected
        whole += energy
        lost += energy * (1.0 - found / expected) if expected > 0 else 0.0
    return lost / whole if whole > 0 else 1.0
