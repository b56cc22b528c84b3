"""Pulses beside rows, and one where no row was read."""

import pytest

from ecg_flare.digitize.confidence import CONFIDENT, PageEvidence, page_confidence
from ecg_flare.digitize.leads.unread_rows import unread_rows
from ecg_flare.digitize.measure.pulse import Pulse

LEVELS = (100.0, 200.0, 300.0, 500.0)


def pulses(*feet: float) -> list[Pulse]:
    return [Pulse(10.0, 50.0, foot - 60.0, foot) for foot in feet]


@pytest.mark.parametrize(
    ("feet", "missing"),
    [
        ((105.0, 195.0, 300.0, 500.0), ()),
        ((), ()),
        ((100.0, 200.0, 300.0, 400.0, 500.0), (400.0,)),
        ((400.0, 404.0, 600.0), (400.0, 600.0)),  # two columns of pulses at one row, and a row below all
    ],
)
def test_a_pulse_without_a_row_is_a_row_that_was_not_read(feet: tuple[float, ...], missing: tuple[float, ...]) -> None:
    assert unread_rows(pulses(*feet), LEVELS, 6.0) == missing


def test_a_page_with_such_a_row_is_not_sure() -> None:
    sound = PageEvidence(0.99, 0.99, True, 1.0, 12, 0)
    assert page_confidence(sound) >= CONFIDENT
    assert page_confidence(PageEvidence(0.99, 0.99, True, 1.0, 12, 0, unread_rows=1)) < CONFIDENT
