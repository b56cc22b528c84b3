"""The paper's speed weighed by the heart: beats drawn at known distances, calibrations made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_beats import STEP_MM, beating

from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.measure.calibration import Calibration, assumed_speed_note
from ecg_flare.digitize.measure.heart_rate import TypicalBeat, measure_heart_rate
from ecg_flare.digitize.measure.speed_prior import speed_log_odds, weigh_speed
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.digitize.words.printed_word import PrintedWord
from ecg_flare.digitize.words.statements import PrintedMeasures, Statement

MEASURED = Calibration(PxPerMm(8.0, 8.0), "grid", 0.99, 25.0, "measured", 10.0, "measured", ())
ASSUMED = replace(MEASURED, speed_source="assumed", confidence=0.69, warnings=(assumed_speed_note(25.0),))


def test_log_odds_are_those_of_two_lognormal_variables() -> None:
    """0.8 s and 60 ms at 25 mm/s; at 50 both are half: 2 * (ln 2 / 0.3)^2 / 2."""
    assert speed_log_odds(TypicalBeat(20.0, 1.5), 25.0, 50.0) == pytest.approx((np.log(2) / 0.3) ** 2)


def test_a_measured_speed_that_the_heart_contradicts_is_doubted_aloud() -> None:
    """A pulse of 0.1 s at 50 mm/s is as wide as one of 0.2 s at 25."""
    found = weigh_speed(MEASURED, measure_heart_rate(beating(70, 50.0), STEP_MM))
    assert found.speed_mm_per_s == 25.0
    assert found.confidence < CONFIDENT
    assert any("35 times a minute" in warning for warning in found.warnings)


def test_short_pulses_need_the_heart_to_rule_their_other_speed_out() -> None:
    """2.5 mm are 0.1 s at 25 mm/s, or 0.2 s at 12.5: there a heart of 70 a minute would beat 35 times."""
    short = replace(MEASURED, confidence=0.7, other_speed_mm_per_s=12.5)
    assert weigh_speed(short, measure_heart_rate(beating(70, 25.0), STEP_MM)).confidence > CONFIDENT
    assert weigh_speed(short, measure_heart_rate(beating(70, 12.5), STEP_MM)) == short
    doubted = weigh_speed(short, measure_heart_rate(beating(100, 12.5), STEP_MM))
    assert doubted.confidence < 0.7
    assert "at 12.5 mm/s, 100 times" in doubted.warnings[-1]
    assert weigh_speed(short, None) == short


@pytest.mark.parametrize("rate", [50, 70, 140])
def test_a_measured_speed_that_suits_the_heart_is_left_alone(rate: float) -> None:
    assert weigh_speed(MEASURED, measure_heart_rate(beating(rate, 25.0), STEP_MM)) == MEASURED


def test_a_slow_wide_heart_at_a_given_speed_is_believed() -> None:
    given = replace(MEASURED, speed_source="given")
    assert weigh_speed(given, measure_heart_rate(beating(35, 25.0, 0.18), STEP_MM)) == given


def test_a_speed_without_pulses_is_chosen_by_the_heart_and_stays_assumed() -> None:
    found = weigh_speed(ASSUMED, measure_heart_rate(beating(80, 50.0), STEP_MM))
    assert (found.speed_mm_per_s, found.speed_source) == (50.0, "assumed")
    assert found.confidence < CONFIDENT
    assert [warning for warning in found.warnings if "speed assumed" in warning] == list(found.warnings)


def test_the_heart_supports_no_speed_that_was_not_read_beside_its_printed_gain() -> None:
    """A fast heart at 50 mm/s looks like a usual one at 25."""
    word = PrintedWord("5 mm/mV", 0.9, 0.0, 0.0, 30.0, 8.0)
    printed = PrintedMeasures((Statement("gain", 5.0, word),))
    found = weigh_speed(replace(ASSUMED, printed=printed), measure_heart_rate(beating(75, 25.0, 0.06), STEP_MM))
    assert (found.speed_mm_per_s, found.confidence) == (25.0, ASSUMED.confidence)
    assert found.confidence < CONFIDENT


def test_an_assumed_speed_that_suits_the_heart_keeps_its_warning() -> None:
    found = weigh_speed(ASSUMED, measure_heart_rate(beating(75, 25.0, 0.06), STEP_MM))
    assert found.speed_mm_per_s == 25.0
    assert found.warnings == ASSUMED.warnings
    assert ASSUMED.confidence < found.confidence < 0.85
