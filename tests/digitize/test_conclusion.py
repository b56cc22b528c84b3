"""What is said of a reading: its doubts in words, its pixels those of the page."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.digitize import Digitization
from ecg_flare.digitize.conclusion import conclude
from ecg_flare.digitize.confidence import LayoutEvidence
from ecg_flare.digitize.leads.assign import Assignment
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.measure.working_page import WorkingPage
from ecg_flare.digitize.measured_page import MeasuredPage
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.trace.page_span import PageSpan
from ecg_flare.digitize.trace.raster import sample_rows
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.record import Recording

SPANS = (LeadSpan("V1", 0, 0.0, 500.0, 0.0, 2.0, False), LeadSpan("V4", 0, 500.0, 1000.0, 2.0, 4.0, False))
CALIBRATION = Calibration(PxPerMm(20.0, 20.0), "grid", 0.9, 25.0, "measured", 10.0, "measured", ())
LINE = np.stack([np.arange(1000.0), np.full(1000, 50.0)], axis=1)


@pytest.fixture
def measured(clean_reading: Digitization) -> MeasuredPage:
    """A page that lines were followed on at half its size."""
    image = np.zeros((100, 1000, 3), np.uint8)
    working = WorkingPage(image, (0.5, 0.5), PxPerMm(10.0, 10.0), ())
    return MeasuredPage(replace(clean_reading.page, warnings=()), CALIBRATION, image, working)


def concluded(
    measured: MeasuredPage,
    line: np.ndarray = LINE,
    *,
    shared: slice = slice(0, 0),
    lost: slice = slice(0, 0),
    layout_confidence: float = 0.8,
) -> Digitization:
    """A row of two leads; `shared` are columns whose ink is another row's, `lost` samples at 100 Hz without a value."""
    at = np.zeros(1000, bool)
    at[shared] = True
    flat = np.full(1000, 50.0)
    signal = np.full((12, 400), np.nan, np.float32)
    signal[6, :200] = signal[9, 200:] = np.sin(np.pi * np.arange(200) / 50)
    signal[:, lost] = np.nan
    lines = PageLines(
        (RowTrace(flat, flat - 1, flat + 1, 50.0, at),),
        (line,),
        2.0,
        sample_rows([line], [50.0], PageSpan(0.0, 999.0, "none"), PxPerMm(10.0, 10.0)),
    )
    assignment = Assignment("6x2", SPANS, layout_confidence, "consecutive", LayoutEvidence(0, 0, None))
    return conclude(measured, CALIBRATION, lines, (line,), assignment, Recording(signal, 100.0))


def test_a_sound_reading_has_no_doubt_and_the_page_s_own_pixels(measured: MeasuredPage) -> None:
    found = concluded(measured)
    assert found.warnings == ()
    assert found.confidence == 0.8
    # the left edge of a pixel twice as small: (0 + 0.5) / 0.5 - 0.5
    assert [(lead.span.left_px, lead.span.right_px) for lead in found.leads] == [(0.5, 1000.5), (1000.5, 2000.5)]
    np.testing.assert_allclose(found.polylines[0][[0, 999]], [[0.5, 100.5], [1998.5, 100.5]])
    assert dict(found.coverage) == {"V1": 1.0, "V4": 1.0}


def test_every_doubt_is_a_sentence_and_takes_its_share(measured: MeasuredPage) -> None:
    broken = LINE.copy()
    broken[600:620, 1] = np.nan  # 80 ms at 250 pixels a second
    found = concluded(measured, broken, shared=slice(0, 50), lost=slice(150, 200))
    assert found.warnings == (
        "only a part could be read of V1 (75%)",
        "the line is broken in V4: peaks may be missing there",
        "rows run into each other at V1: peaks there may be another lead's",
        "the signal has about 9 dB, and 15 are wanted, at 200 pixels a millivolt; the noise is mostly that of lines "
        "that are lost",
    )
    assert found.confidence_but_for_signal == pytest.approx(0.8 * 0.75)
    assert found.confidence == found.signal.value < 0.8 * 0.75


def test_rows_with_little_ink_are_doubted_by_what_is_missing(measured: MeasuredPage) -> None:
    half = LINE.copy()
    half[500:, 1] = np.nan
    found = concluded(measured, half)
    assert found.confidence == pytest.approx(0.8 * 0.5, abs=1e-3)
    assert "only 50% of the rows' length shows a trace" in found.warnings


def test_a_low_confidence_is_never_without_a_word(measured: MeasuredPage) -> None:
    found = concluded(measured, layout_confidence=0.5)
    assert found.warnings == ("the confidence of this reading is low (0.50)",)
