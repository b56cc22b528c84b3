"""Two readings of one page: which is kept, and when there has to be a second one."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.digitize import Digitization, digitize
from ecg_flare.digitize.choice import better_of, beyond_doubt
from ecg_flare.digitize.confidence import CONFIDENT, CONTRADICTED
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.ink.probabilities import Probabilities
from ecg_flare.digitize.leads.by_labels import LAYOUT_NAME
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.raster import Label
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle


@pytest.fixture(scope="module")
def page() -> Page:
    rng = np.random.default_rng(22)
    return render_page(synthesize(rng), PageStyle(dpi=100), rng)


@pytest.fixture(scope="module")
def reading(page: Page) -> Digitization:
    return digitize(page.image, segmenter=classical_segmenter)


def with_gaps(reading: Digitization, gaps: int) -> Digitization:
    """The reading with so many gaps in its first lead."""
    first, *others = reading.leads
    return replace(reading, leads=(replace(first, gaps=gaps), *others))


def test_a_clean_page_leaves_no_doubt_and_a_broken_line_does(reading: Digitization) -> None:
    assert beyond_doubt(reading)
    assert not beyond_doubt(with_gaps(reading, 1))
    assert not beyond_doubt(replace(reading, confidence=CONFIDENT - 0.01, confidence_but_for_signal=CONFIDENT - 0.01))


def test_a_page_that_only_has_too_few_pixels_is_not_read_again_and_one_with_bad_lines_is(reading: Digitization) -> None:
    def doubtful(source: str) -> Digitization:
        signal = replace(reading.signal, shares={**reading.signal.shares, source: 0.2})
        return replace(reading, signal=signal, confidence=min(reading.confidence, signal.value))

    assert doubtful("columns").confidence < CONFIDENT
    assert beyond_doubt(doubtful("columns"))
    assert beyond_doubt(doubtful("shared_ink"))
    assert not beyond_doubt(doubtful("limb_leads"))
    assert not beyond_doubt(replace(doubtful("columns"), confidence_but_for_signal=CONFIDENT - 0.01))


def test_an_assumed_gain_alone_is_no_reason_to_read_again(reading: Digitization) -> None:
    assumed = replace(
        reading,
        calibration=replace(reading.calibration, confidence=0.7),
        confidence=0.7,
        confidence_but_for_signal=0.7,
    )
    assert beyond_doubt(assumed)
    assert not beyond_doubt(replace(assumed, layout_confidence=0.7))
    assert not beyond_doubt(replace(assumed, confidence=0.49, confidence_but_for_signal=0.49))
    assert not beyond_doubt(with_gaps(assumed, 1))


def test_the_surer_reading_is_kept_and_of_equals_the_whole_one(reading: Digitization) -> None:
    doubtful = replace(reading, confidence=0.8)
    broken = replace(with_gaps(reading, 2), confidence=reading.confidence + 0.01)
    assert better_of(doubtful, reading) is reading
    assert better_of(reading, doubtful) is reading
    assert better_of(broken, reading) is reading
    assert better_of(reading, replace(reading)) is reading


def test_a_reading_by_labels_alone_comes_after_one_that_a_layout_fits(reading: Digitization) -> None:
    by_labels = replace(reading, layout=LAYOUT_NAME, confidence=0.34)
    doubtful = replace(reading, confidence=0.02)
    assert better_of(by_labels, doubtful) is doubtful
    assert better_of(doubtful, by_labels) is doubtful
    assert better_of(replace(by_labels, confidence=0.17), by_labels) is by_labels


def test_two_sure_readings_of_different_layouts_make_no_sure_one(reading: Digitization) -> None:
    kept = better_of(reading, replace(reading, layout="6x2"))
    assert kept.confidence == CONTRADICTED < CONFIDENT
    assert "3x4" in kept.warnings[0]
    assert "6x2" in kept.warnings[0]


def test_the_second_segmenter_is_asked_only_where_the_first_leaves_a_doubt(page: Page, reading: Digitization) -> None:
    asked: list[str] = []

    def blind(image: np.ndarray) -> Probabilities:
        asked.append("blind")
        probabilities = np.zeros((len(Label), *image.shape[:2]), np.float32)
        probabilities[Label.BACKGROUND] = 1.0
        return probabilities

    def seeing(image: np.ndarray) -> Probabilities:
        asked.append("seeing")
        return classical_segmenter(image)

    found = digitize(page.image, segmenter=(blind, seeing))
    assert asked == ["blind", "seeing"]
    np.testing.assert_array_equal(found.recording.signal_mv, reading.recording.signal_mv)
    asked.clear()
    digitize(page.image, segmenter=(seeing, blind))
    assert asked == ["seeing"]
