"""What is lost with a stretch without ink: more where the heart beats."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.lost_share import lost_share
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import synthesize

WHOLE = synthesize(np.random.default_rng(31))
SPANS = tuple(LeadSpan(lead, row, 0.0, 1000.0, 0.0, WHOLE.duration_s, False) for row, lead in enumerate(LEADS))


def without(lead: str, lost: slice) -> Recording:
    signal = WHOLE.signal_mv.copy()
    signal[WHOLE.lead_names.index(lead), lost] = np.nan
    return replace(WHOLE, signal_mv=signal)


def energy(signal: np.ndarray) -> float:
    return float(np.nansum((signal - np.nanmedian(signal, axis=-1, keepdims=True)) ** 2))


def beat() -> int:
    """The sample of the highest R wave in V5 of the middle third."""
    third = WHOLE.n_samples // 3
    return third + int(np.abs(WHOLE.lead("V5")[third : 2 * third]).argmax())


def test_nothing_is_lost_of_a_whole_reading() -> None:
    assert lost_share(WHOLE, SPANS) == 0.0


def test_a_lost_beat_is_more_than_its_time() -> None:
    around = slice(beat() - round(0.1 * WHOLE.fs_hz), beat() + round(0.1 * WHOLE.fs_hz))
    true = energy(WHOLE.lead("V4")[around]) / energy(WHOLE.signal_mv)
    found = lost_share(without("V4", around), SPANS)
    of_time = 0.2 / WHOLE.duration_s / len(LEADS)
    assert found == pytest.approx(true, rel=0.6)
    assert found > 4 * of_time


def test_a_lost_rest_is_less_than_its_time() -> None:
    """Half a second in which V5 hardly moves."""
    length = round(0.25 * WHOLE.fs_hz)
    moves = [float(np.ptp(WHOLE.lead("V5")[at : at + length])) for at in range(0, WHOLE.n_samples - length, 5)]
    at = 5 * int(np.argmin(moves))
    assert lost_share(without("V4", slice(at, at + length)), SPANS) < 0.25 / WHOLE.duration_s / len(LEADS)


def test_a_lead_that_is_lost_whole_has_as_much_as_the_others() -> None:
    found = lost_share(without("V4", slice(None)), SPANS)
    assert found == pytest.approx(1 / len(LEADS), rel=0.05)


def test_all_is_lost_of_nothing() -> None:
    nothing = replace(WHOLE, signal_mv=np.full_like(WHOLE.signal_mv, np.nan))
    assert lost_share(nothing, SPANS) == 1.0


def test_where_no_lead_is_known_time_is_all_there_is() -> None:
    quarter = slice(WHOLE.n_samples * 3 // 4, None)
    signal = WHOLE.signal_mv.copy()
    signal[:, quarter] = np.nan
    assert lost_share(replace(WHOLE, signal_mv=signal), SPANS) == pytest.approx(0.25, abs=0.02)
