"""Gains of limb and chest leads, each from its own pulses."""

from dataclasses import replace

import pytest

from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.leads.lead_gains import settle_gains
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.measure.calibration import Calibration, ChestGain
from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.leads import CHEST_LEADS, LEADS, LIMB_LEADS

CALIBRATION = Calibration(PxPerMm(8.0, 8.0), "grid", 0.99, 25.0, "measured", 10.0, "measured", ())
LEVELS = tuple(100.0 * (row + 1) for row in range(6))


def pulse_at(left_px: float, foot_px: float, gain: float) -> Pulse:
    return Pulse(left_px, left_px + 40.0, foot_px - 8.0 * gain, foot_px)


def six_by_two() -> tuple[LeadSpan, ...]:
    limb = [LeadSpan(lead, row, 200.0, 1000.0, 0.0, 4.0, False) for row, lead in enumerate(LIMB_LEADS)]
    chest = [LeadSpan(lead, row, 1100.0, 1900.0, 4.0, 8.0, False) for row, lead in enumerate(CHEST_LEADS)]
    return (*limb, *chest)


def test_each_column_has_the_gain_of_its_own_pulses() -> None:
    pulses = [pulse_at(x, level, gain) for level in LEVELS for x, gain in ((145.0, 10.0), (1045.0, 5.0))]
    settled = settle_gains(CALIBRATION, six_by_two(), pulses, LEVELS)
    assert [settled.gain_of(lead) for lead in LEADS] == [10.0] * 6 + [5.0] * 6
    assert settled.chest_gain_source == "measured"


def test_each_row_has_the_gain_of_its_own_pulse() -> None:
    levels = tuple(100.0 * (row + 1) for row in range(12))
    spans = [LeadSpan(lead, row, 200.0, 2000.0, 0.0, 9.0, False) for row, lead in enumerate(LEADS)]
    for left in (145.0, 2010.0):  # before and after the rows
        pulses = [pulse_at(left, level, 10.0 if row < 6 else 5.0) for row, level in enumerate(levels)]
        # the commonest height is the chest leads' where a limb lead's pulse was not seen
        settled = settle_gains(replace(CALIBRATION, gain_mm_per_mv=5.0), spans, pulses[1:], levels)
        assert (settled.gain_mm_per_mv, settled.chest_gain_mm_per_mv) == (10.0, 5.0)


def test_pulses_beside_chest_leads_alone_leave_the_limb_leads_gain_in_doubt() -> None:
    """Twelve rows; the limb leads' pulses touch each other and were not read."""
    levels = tuple(100.0 * (row + 1) for row in range(12))
    spans = [LeadSpan(lead, row, 200.0, 2000.0, 0.0, 9.0, False) for row, lead in enumerate(LEADS)]
    pulses = [pulse_at(145.0, level, 5.0) for level in levels[6:]]
    read = replace(CALIBRATION, gain_mm_per_mv=5.0)

    settled = settle_gains(read, spans, pulses, levels)
    assert settled.confidence < CONFIDENT
    assert "none was read beside limb leads" in settled.warnings[-1]
    assert settle_gains(read, spans[6:], pulses, levels).confidence == read.confidence  # a page of chest leads


def test_pulses_of_strips_leave_no_doubt_where_limb_rows_have_pulses_too() -> None:
    """3x4 with two strips of V1, all pulses at the right: those of the strips are V1's own, the others nobody's."""
    short = [LeadSpan(lead, at % 3, 200.0 + 400 * (at // 3), 600.0 + 400 * (at // 3), 0.0, 2.5, False)
             for at, lead in enumerate(LEADS)]  # fmt: skip
    strips = [LeadSpan("V1", row, 200.0, 1800.0, 0.0, 10.0, True) for row in (3, 4)]
    pulses = [pulse_at(1820.0, level, 10.0) for level in LEVELS[:5]]
    settled = settle_gains(CALIBRATION, (*short, *strips), pulses, LEVELS[:5])
    assert settled.confidence == CALIBRATION.confidence


def test_own_pulses_of_one_height_are_a_witness_of_one_gain() -> None:
    pulses = [pulse_at(x, level, 10.0) for level in LEVELS for x in (145.0, 1045.0)]
    settled = settle_gains(CALIBRATION, six_by_two(), pulses, LEVELS)
    assert settled.chest == ChestGain(10.0, "measured")
    assert not settled.has_two_gains


@pytest.mark.parametrize("seen", [0, 1])
def test_a_pulse_at_the_rows_start_says_nothing_of_the_second_lead(seen: int) -> None:
    pulses = [pulse_at(145.0, level, 10.0) for level in LEVELS]
    pulses += [pulse_at(1045.0, level, 5.0) for level in LEVELS[:seen]]
    assert settle_gains(CALIBRATION, six_by_two(), pulses, LEVELS) is CALIBRATION


def test_given_gains_stay() -> None:
    pulses = [pulse_at(x, level, gain) for level in LEVELS for x, gain in ((145.0, 10.0), (1045.0, 5.0))]
    for given in (replace(CALIBRATION, gain_source="given"), replace(CALIBRATION, chest=ChestGain(20.0, "given"))):
        assert settle_gains(given, six_by_two(), pulses, LEVELS) is given
