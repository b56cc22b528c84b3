"""Boxes of 1 mV at a lead's ends are told from every real beat."""

from pathlib import Path

import numpy as np
import pytest

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.pulse_boxes import pulse_boxes
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.ptbxl import load_record, read_database
from ecg_flare.ecg.record import Recording

FS_HZ = 500.0
LENGTH_S = 2.5


def spans_of(start_s: float, length_s: float, inverted: bool = False) -> tuple[LeadSpan, ...]:
    return tuple(LeadSpan(lead, 0, 0.0, 1.0, start_s, start_s + length_s, False, inverted) for lead in LEADS)


def recording_with_box(
    lead: str, begin_s: float, width_s: float, height_mv: float = 1.0, edge_s: float = 0.012
) -> Recording:
    """Twelve leads with a QRS a second, one of them with a trapezoid."""
    time = np.arange(round(LENGTH_S * FS_HZ)) / FS_HZ
    beats = 1.2 * np.exp(-0.5 * (((time - 0.7) % 1.0 - 0.1) / 0.012) ** 2)
    signal = np.tile(beats, (12, 1)) * np.linspace(-1, 1, 12)[:, None]
    box = np.interp(time, begin_s + np.array([0, edge_s, width_s - edge_s, width_s]), [0, 1, 1, 0])
    signal[LEADS.index(lead)] += height_mv * box
    return Recording(signal.astype(np.float32), FS_HZ)


@pytest.mark.parametrize("width_s", [0.1, 0.12, 0.2, 0.25])
@pytest.mark.parametrize("begin_s", [-0.02, 0.0, 0.01, 0.1, 0.2])
def test_a_box_at_the_start_is_found(width_s: float, begin_s: float) -> None:
    assert pulse_boxes(recording_with_box("V2", begin_s, width_s), spans_of(0.0, LENGTH_S)) == ("V2",)


def test_a_box_at_the_end_is_found() -> None:
    assert pulse_boxes(recording_with_box("V5", 2.3, 0.1), spans_of(0.0, LENGTH_S)) == ("V5",)


def test_a_box_of_an_inverted_lead_hangs() -> None:
    recording = recording_with_box("aVR", 0.05, 0.2, height_mv=-1.0)
    assert pulse_boxes(recording, spans_of(0.0, LENGTH_S, inverted=True)) == ("aVR",)


@pytest.mark.parametrize(
    ("begin_s", "width_s", "height_mv"),
    [(0.05, 0.2, 0.8), (0.05, 0.2, 1.25), (0.05, 0.05, 1.0), (0.05, 0.4, 1.0), (1.0, 0.2, 1.0), (0.05, 0.2, -1.0)],
)
def test_other_boxes_are_none(begin_s: float, width_s: float, height_mv: float) -> None:
    recording = recording_with_box("V2", begin_s, width_s, height_mv)
    assert pulse_boxes(recording, spans_of(0.0, LENGTH_S)) == ()


def test_a_value_held_at_the_end_is_no_box() -> None:
    """Recorders fill up a record's last tenth of a second so: PTB-XL 242 and 250."""
    assert pulse_boxes(recording_with_box("V3", 2.4, 0.3), spans_of(0.0, LENGTH_S)) == ()


def test_of_two_stretches_the_longer_is_looked_at() -> None:
    strip = LeadSpan("II", 3, 0.0, 1.0, 0.0, LENGTH_S, True)
    short = LeadSpan("II", 0, 0.0, 1.0, 1.0, 2.0, False)
    assert pulse_boxes(recording_with_box("II", 1.05, 0.2), (short, strip)) == ()


@pytest.mark.realdata
def test_no_real_lead_has_a_box(data_root: Path) -> None:
    root = data_root / "ptbxl"
    found = [
        (entry.ecg_id, start_s, length_s)
        for entry in read_database(root)
        for recording in [load_record(root, entry)]
        for length_s in (2.5, 5.0, 10.0)
        for start_s in np.arange(0.0, 10.0, length_s)
        if pulse_boxes(recording, spans_of(start_s, length_s))
    ]
    assert found == []
