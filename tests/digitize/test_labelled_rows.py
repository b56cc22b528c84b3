"""The word at the beginning of a lead, and a lead's signal."""

from dataclasses import replace

import numpy as np
from rasters import raster, word

from ecg_flare.digitize.leads.labelled_rows import LabelledRows, signal_of
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.leads.lead_span import LeadSpan

SPAN = LeadSpan("V1", 1, 500.5, 1000.5, 2.0, 4.0, False)


def word_at_span(*words: Word) -> Word | None:
    return LabelledRows(raster(np.zeros((2, 2000))), words, 25.0).word_at(SPAN)


def test_the_word_stands_beside_the_beginning_of_its_own_row() -> None:
    here = word("V1", 510.0, 1)
    assert word_at_span(here) is here
    assert word_at_span(word("V1", 510.0, 0)) is None  # 200 pixels above
    assert word_at_span(word("V1", 700.0, 1)) is None  # 14 mm into the lead and more
    assert word_at_span(word("V1", 430.0, 1)) is None  # 4 mm before it and more
    assert word_at_span(word("V1", 510.0, 1, fit=0.65)) is None  # no name fits it


def test_a_lone_stroke_is_no_label_but_at_the_page_s_left() -> None:
    dash = word("I", 510.0, 1)
    assert dash.n_letters == 1
    assert word_at_span(dash) is None
    page = LabelledRows(raster(np.zeros((2, 2000))), (word("I", 10.0, 0),), 25.0)
    assert page.word_at(LeadSpan("I", 0, 0.0, 500.0, 0.0, 2.0, False)) is not None


def test_a_signal_ends_before_its_borders_and_stands_upright() -> None:
    rows = raster(np.stack([np.full(2000, 1.0), np.full(2000, 3.0)]))
    signal = signal_of(rows, SPAN)
    known = np.flatnonzero(np.isfinite(signal))
    assert (known[0], known[-1]) == (509, 992)  # 0.8 mm are eight samples
    assert (signal[known] == 3.0).all()
    inverted = signal_of(rows, replace(SPAN, inverted=True))
    assert (inverted[known] == -3.0).all()
