"""Where pulses alone measure a page, its rows are as long as their layout says."""

import numpy as np
import pytest

from ecg_flare.digitize import Digitization, ReadingOptions, digitize
from ecg_flare.digitize.corrected_page import CorrectedPage
from ecg_flare.digitize.corrections import Corrections
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.page import Page
from ecg_flare.page.render import render_page
from ecg_flare.page.style import GridStyle, PageStyle

OPTIONS = ReadingOptions(segmenter="classical", words="off")


@pytest.fixture(scope="module")
def recording() -> Recording:
    return synthesize(np.random.default_rng(23))


@pytest.fixture(scope="module")
def bare(recording: Recording) -> Page:
    """A page without a grid, whose strokes are thick."""
    return printed(recording, PageStyle(dpi=110, grid=GridStyle(kind="none")))


@pytest.fixture(scope="module")
def reading(bare: Page) -> Digitization:
    return digitize(bare.image, OPTIONS)


def printed(recording: Recording, style: PageStyle) -> Page:
    return render_page(recording, style, np.random.default_rng(24))


def px_per_s(reading: Digitization) -> float:
    return reading.calibration.px_per_mm.x * reading.calibration.speed_mm_per_s


def test_times_come_from_the_rows(bare: Page, reading: Digitization, recording: Recording) -> None:
    assert reading.calibration.method == "rows"
    assert reading.calibration.px_per_mm.x == pytest.approx(bare.truth.px_per_mm_x, rel=0.0015)
    assert any("length of the rows, taken as 10 s" in warning for warning in reading.warnings)
    assert reading.confidence < 0.75
    assert evaluate_recording(reading.recording, recording).read_snr_db_kaggle2025 > 15


def test_a_grid_or_a_given_scale_needs_no_rows(recording: Recording, bare: Page) -> None:
    assert digitize(printed(recording, PageStyle(dpi=110)).image, OPTIONS).calibration.method == "grid"
    given = digitize(bare.image, ReadingOptions(segmenter="classical", px_per_mm=bare.truth.px_per_mm_x))
    assert given.calibration.method == "given"
    assert given.calibration.px_per_mm.x == bare.truth.px_per_mm_x


def test_strips_are_cut_as_one_likes(recording: Recording) -> None:
    strips = PageStyle(dpi=110, grid=GridStyle(kind="none"), layout="3x1", rhythm_leads=("I", "II", "V5"))
    read = digitize(printed(recording, strips).image, OPTIONS)
    assert read.layout == "3x1"
    assert read.calibration.method == "pulse"


def test_rows_that_the_pulses_contradict_say_nothing(recording: Recording) -> None:
    """Rows of 9 s are no rows of 10 s, whatever the layout."""
    short = Recording(recording.signal_mv[:, : 9 * round(recording.fs_hz)], recording.fs_hz, recording.lead_names)
    layout = PageStyle(dpi=110, grid=GridStyle(kind="none"), layout="12x1")
    read = digitize(printed(short, layout).image, OPTIONS)
    assert read.calibration.method == "pulse"
    assert max(lead.span.end_s for lead in read.leads) == pytest.approx(9.0, rel=0.05)


def test_a_person_who_says_the_gain_changes_no_time(bare: Page, reading: Digitization) -> None:
    page = CorrectedPage(bare.image, OPTIONS)
    corrected = page.read(Corrections(gain=10.0))
    assert corrected.calibration.method == "rows"
    assert px_per_s(corrected) == pytest.approx(px_per_s(reading))


def test_a_person_who_says_the_speed_changes_no_time(bare: Page, reading: Digitization) -> None:
    corrected = CorrectedPage(bare.image, OPTIONS).read(Corrections(speed=50.0))
    assert px_per_s(corrected) == pytest.approx(px_per_s(reading))
