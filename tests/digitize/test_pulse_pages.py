"""Whole pages with pulses before each lead, and of two gains."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_pipeline import printed

from ecg_flare.digitize import ReadingOptions, digitize
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.leads.pulse_boxes import pulse_boxes
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.leads import CHEST_LEADS, LEADS, LIMB_LEADS
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle

LEFT = PageStyle(layout="6x2", dpi=150)


def read(style: PageStyle) -> tuple[Digitization, dict[str, float]]:
    """Read a page of one synthetic recording; return the reading and each lead's SNR in dB."""
    recording = synthesize(np.random.default_rng(21))
    page = render_page(recording, style, np.random.default_rng(3))
    result = digitize(page.image, segmenter=classical_segmenter)
    score = evaluate_recording(result.recording, printed(recording, page))
    return result, {lead.lead: lead.snr_db_kaggle2025 for lead in score.leads}


@pytest.fixture(scope="module")
def with_pulses_at_the_left() -> dict[str, float]:
    return read(LEFT)[1]


@pytest.mark.parametrize("gap_mm", [0.0, 1.0, 2.0])
def test_pulses_before_each_lead_cost_no_signal(gap_mm: float, with_pulses_at_the_left: dict[str, float]) -> None:
    style = PageStyle(layout="6x2", dpi=150, pulse="columns", pulse_gap_mm=gap_mm)
    result, snr_db = read(style)
    spans = [lead.span for lead in result.leads]
    assert pulse_boxes(result.recording, spans) == ()
    assert {span.start_s for span in spans} == {0.0, 5.0}
    assert min(result.coverage.values()) > 0.99
    assert np.mean(list(snr_db.values())) > np.mean(list(with_pulses_at_the_left.values())) - 1.0
    assert min(snr_db[lead] - with_pulses_at_the_left[lead] for lead in LEADS) > -3.0


@pytest.mark.parametrize(
    "style",
    [
        PageStyle(layout="6x2", dpi=150, chest_gain_mm_per_mv=5.0),
        PageStyle(layout="6x2", dpi=150, chest_gain_mm_per_mv=5.0, pulse_shape="plain", pulse="columns"),
        PageStyle(layout="12x1", dpi=150, chest_gain_mm_per_mv=5.0),
    ],
    ids=["stepped", "own columns", "own rows"],
)
def test_two_gains_are_read_off_the_pulses(style: PageStyle) -> None:
    result, snr_db = read(style)
    calibration = result.calibration
    assert [calibration.gain_of(lead) for lead in LEADS] == [10.0] * len(LIMB_LEADS) + [5.0] * len(CHEST_LEADS)
    assert calibration.chest_gain_source == "measured"
    assert min(snr_db[lead] for lead in CHEST_LEADS) > 10.0  # at half the size 6


def test_a_given_chest_gain_is_taken() -> None:
    recording = synthesize(np.random.default_rng(21))
    style = PageStyle(layout="6x2", dpi=150, chest_gain_mm_per_mv=5.0, pulse_shape="plain")
    page = render_page(recording, style, np.random.default_rng(3))
    result = digitize(page.image, ReadingOptions(gain=10.0, chest_gain=5.0), segmenter=classical_segmenter)
    score = evaluate_recording(result.recording, printed(recording, page))
    assert min(lead.snr_db_kaggle2025 for lead in score.leads) > 10.0
    assert result.calibration.chest_gain_source == "given"
    assert not [warning for warning in result.warnings if "mm/mV" in warning]


def fault(data_root: Path, name: str) -> np.ndarray:
    path = data_root.parent / "faults" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return image


@pytest.mark.realdata
def test_a_real_page_with_a_pulse_before_each_lead(data_root: Path) -> None:
    """2.4 mm wide and 10 mm high at 7.1 px/mm; V1's bar is the frame of the picture.

    The chest leads' beats stand where the limb leads' do, to 2 pixels of 540: both columns show one time.
    """
    image = fault(data_root, "04_pulse_becomes_signal/pulse_before_each_lead.jpg")
    result = digitize(image, segmenter=classical_segmenter)
    spans = {lead.span.lead: lead.span for lead in result.leads}
    assert pulse_boxes(result.recording, list(spans.values())) == ()
    for lead in LIMB_LEADS:
        assert (spans[lead].left_px, spans[lead].right_px) == pytest.approx((82.0, 619.0), abs=4.0)
    for lead in CHEST_LEADS:
        assert (spans[lead].left_px, spans[lead].right_px) == pytest.approx((688.0, 1224.0), abs=4.0)
        assert spans[lead].start_s == 0.0
    assert min(result.coverage.values()) > 0.99
    assert (result.calibration.speed_mm_per_s, result.calibration.speed_source) == (25.0, "measured")


@pytest.mark.realdata
def test_a_page_whose_pulses_hide_a_second_gain_is_not_sure(data_root: Path) -> None:
    result = digitize(fault(data_root, "03_split_gain/split_gain_6x2.png"), segmenter=classical_segmenter)
    assert result.confidence < CONFIDENT
    assert any("may be printed at 5 mm/mV, and not at 10" in warning for warning in result.warnings)
