"""Rhythm strips: the lead that they repeat names them, and says how well it fits."""

from dataclasses import replace

import numpy as np
import pytest
from rasters import noise, raster, word

from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.strips import name_strips, worst_strip_db

SHORT = [LeadSpan(lead, row, 0.0, 1000.0, 0.0, 4.0, False) for row, lead in enumerate(("I", "V1", "V5"))]
STRIP = LeadSpan("II", 3, 0.0, 1000.0, 0.0, 4.0, True)


def rows(repeated: int | None) -> np.ndarray:
    y_mm = noise(4, 1000, seed=3)
    if repeated is not None:
        y_mm[3] = y_mm[repeated] + 2.0  # another offset is no other lead
    return y_mm


@pytest.mark.parametrize(("repeated", "name"), [(0, "I"), (1, "V1"), (2, "V5")])
def test_a_strip_bears_the_name_of_the_lead_that_it_repeats(repeated: int, name: str) -> None:
    named = name_strips(LabelledRows(raster(rows(repeated)), (), 25.0), [*SHORT, STRIP])
    assert [span.lead for span in named] == ["I", "V1", "V5", name]
    assert worst_strip_db(raster(rows(repeated)), named) == pytest.approx(40.0)


def test_a_strip_that_repeats_nothing_bears_the_layout_s_name_or_its_label_s() -> None:
    page = raster(np.vstack([np.zeros((3, 1000)), noise(1, 1000)]))
    assert name_strips(LabelledRows(page, (), 25.0), [*SHORT, STRIP])[-1].lead == "II"
    labelled = LabelledRows(page, (word("V3", 10.0, 3),), 25.0)
    assert name_strips(labelled, [*SHORT, STRIP])[-1].lead == "V3"


@pytest.mark.parametrize(
    ("likeness_db", "words", "guessed"),
    [
        ({0: 30.0}, (), False),  # repeats I sample by sample
        ({0: 16.0, 1: 13.0}, (), True),  # repeats two leads nearly as well
        ({}, (word("V3", 10.0, 3),), False),  # a label says it
        ({}, (word("I", 10.0, 3),), True),  # one stroke is no name: another may be lost
        ({}, (), True),
    ],
)
def test_a_name_that_nothing_says_clearly_is_a_guess(
    likeness_db: dict[int, float], words: tuple[Word, ...], guessed: bool
) -> None:
    named = name_strips(LabelledRows(raster(alike_rows(likeness_db)), words, 25.0), [*SHORT, STRIP])
    assert [span.guessed for span in named] == [False, False, False, guessed]


def alike_rows(likeness_db: dict[int, float]) -> np.ndarray:
    """Three rows and a strip, which each row of a number differs from by noise of so many dB below it."""
    rng = np.random.default_rng(4)
    y_mm = noise(4, 1000, seed=3)
    for row, decibels in likeness_db.items():
        power = ((y_mm[3] - np.median(y_mm[3])) ** 2).mean() / 10 ** (decibels / 10)
        y_mm[row] = y_mm[3] + rng.normal(size=1000) * np.sqrt(power)
    return y_mm


def test_a_label_of_which_a_stroke_is_lost_yields_to_what_the_strip_repeats() -> None:
    """The label "II" is cut at the page's edge and reads "I"; V5 is repeated a little better than II."""
    spans = [*SHORT[:2], LeadSpan("II", 2, 0.0, 1000.0, 0.0, 4.0, False), STRIP]
    page = LabelledRows(raster(alike_rows({1: 15.8, 2: 13.2})), (word("I", 10.0, 3),), 25.0)
    strip = name_strips(page, spans)[-1]
    assert (strip.lead, strip.guessed) == ("II", True)


def test_strips_alone_are_named_by_labels_and_three_limb_leads_by_their_identities() -> None:
    spans = [LeadSpan(lead, row, 0.0, 1000.0, 0.0, 4.0, True) for row, lead in enumerate(("I", "II", "III"))]
    y_mm = noise(3, 1000, seed=5)
    assert all(span.guessed for span in name_strips(LabelledRows(raster(y_mm), (), 25.0), spans))
    y_mm[1] = y_mm[0] + y_mm[2]
    assert all(span.guessed for span in name_strips(LabelledRows(raster(y_mm), (), 25.0), spans))
    two = (word("I", 10.0, 0), word("II", 10.0, 1), word("III", 10.0, 2))  # "I" is one stroke
    assert not any(span.guessed for span in name_strips(LabelledRows(raster(y_mm), two, 25.0), spans))
    labels = (word("V1", 10.0, 0), word("II", 10.0, 1), word("V5", 10.0, 2, fit=0.25))
    named = name_strips(LabelledRows(raster(noise(3, 1000)), labels, 25.0), spans)
    assert [(span.lead, span.guessed) for span in named][:2] == [("V1", False), ("II", False)]
    assert named[2].guessed


def test_a_page_without_strips_has_nothing_to_repeat() -> None:
    assert worst_strip_db(raster(rows(None)), SHORT) is None
    assert worst_strip_db(raster(rows(None)), [STRIP]) is None
    unlike = worst_strip_db(raster(rows(None)), [*SHORT, replace(STRIP, lead="V1")])
    assert unlike is not None
    assert unlike < 6.0


@pytest.mark.parametrize("late_px", [0, 6])
def test_a_strip_beside_columns_that_pulses_part_is_compared_at_its_times(late_px: int) -> None:
    """The second column begins 200 px further right than on the strip, or 0.6 mm more after a pulse that touches it."""
    rng = np.random.default_rng(3)
    line = np.cumsum(rng.normal(size=1000))
    row = np.full(1000, np.nan)
    row[:300], row[500 + late_px : 800 + late_px] = np.cumsum(rng.normal(size=300)), line[300:600]
    rows = raster(np.stack([row, line]))
    rows = replace(rows, span=replace(rows.span, gaps=((300.0, 500.0),)))
    spans = (
        LeadSpan("I", 0, 0.0, 300.0, 0.0, 1.2, False),
        LeadSpan("V1", 0, 500.0, 800.0, 1.2, 2.4, False),
        LeadSpan("II", 1, 0.0, 1000.0, 0.0, 4.0, True),
    )
    named = name_strips(LabelledRows(rows, (), 25.0), spans)
    assert (named[2].lead, named[2].guessed) == ("V1", False)
