"""What labels say of a layout: by hand, for words that fit one name by 0.95 and all others by 0.2."""

import math

import numpy as np
import pytest
from rasters import raster, word

from ecg_flare.digitize.leads.label_evidence import (
    LABEL_ELSEWHERE,
    LABEL_FLOOR,
    LABEL_MISSING,
    label_evidence,
    name_likelihood,
)
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.leads import ALL_LEADS

LEFTS = (0.0, 500.0, 1000.0, 1500.0)


def spans(names: tuple[str, ...], *, rhythm: bool = False) -> list[LeadSpan]:
    return [
        LeadSpan(name, 0, left, left + 500.0, left / 250, left / 250 + 2.0, rhythm)
        for name, left in zip(names, LEFTS, strict=False)
    ]


def page(*words: Word) -> LabelledRows:
    return LabelledRows(raster(np.zeros((1, 2000))), words, 25.0)


def test_likelihood_is_a_softmax_of_the_fits() -> None:
    likelihood = name_likelihood(word("V3", 0.0, 0, fit=0.30))
    ratio = math.exp((0.30 - 0.20) / 0.05)
    assert likelihood[ALL_LEADS.index("V3")] == pytest.approx(ratio / (ratio + len(ALL_LEADS) - 1), rel=1e-5)
    assert likelihood.sum() == pytest.approx(1.0)


def test_agreeing_labels_cost_nothing_and_a_wrong_one_the_floor() -> None:
    words = [word(name, left + 10.0, 0) for name, left in zip(("V1", "V2", "V3"), LEFTS, strict=False)]
    right = label_evidence(page(*words), spans(("V1", "V2", "V3")))
    assert (right.read, right.agreeing) == (3, 3)
    assert right.score == pytest.approx(0.0, abs=1e-4)
    wrong = label_evidence(page(*words), spans(("V1", "V2", "V4")))
    assert (wrong.read, wrong.agreeing) == (3, 2)
    assert wrong.score == pytest.approx(LABEL_FLOOR, abs=1e-4)


def test_a_missing_label_counts_only_where_others_are_read() -> None:
    words = [word(name, left + 10.0, 0) for name, left in zip(("V1", "V2", "V3"), LEFTS, strict=False)]
    assert label_evidence(page(*words), spans(("V1", "V2", "V3", "V4"))).score == pytest.approx(LABEL_MISSING, abs=1e-4)
    assert label_evidence(page(words[0]), spans(("V1", "V2"))).score == pytest.approx(0.0, abs=1e-4)


def test_any_name_may_stand_beside_a_rhythm_strip() -> None:
    found = label_evidence(page(word("V1", 10.0, 0)), spans(("II",), rhythm=True))
    assert (found.read, found.agreeing) == (1, 1)
    assert found.score == pytest.approx(math.log(0.5), abs=1e-4)


def two_rows(*words: Word) -> LabelledRows:
    return LabelledRows(raster(np.zeros((2, 2000))), words, 25.0)


def test_names_above_one_another_where_a_layout_has_none_speak_against_it() -> None:
    """Two rows of one lead each do not explain V1 and V2 in their middle; a lone word may be any print."""
    whole = [LeadSpan(name, row, 0.0, 2000.0, 0.0, 8.0, False) for row, name in enumerate(("I", "II"))]
    halves = [
        LeadSpan(name, row, left, left + 1000.0, left / 250, left / 250 + 4.0, False)
        for row, pair in enumerate((("I", "V1"), ("II", "V2")))
        for name, left in zip(pair, (0.0, 1000.0), strict=True)
    ]
    words = word("V1", 1010.0, 0), word("V2", 1010.0, 1)
    assert label_evidence(two_rows(*words), whole).score == pytest.approx(2 * LABEL_ELSEWHERE)
    assert label_evidence(two_rows(*words), halves).score == pytest.approx(0.0, abs=1e-4)
    assert label_evidence(two_rows(words[0]), whole).score == 0.0
