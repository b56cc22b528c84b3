"""Rhythm strips: the lead that they repeat names them, and says how well it fits."""

import numpy as np
import pytest
from rasters import noise, raster, word

from ecg_flare.digitize.leads.labelled_rows import LabelledRows
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
    assert worst_strip_db(raster(rows(repeated)), [*SHORT, STRIP]) == pytest.approx(40.0)


def test_a_strip_that_repeats_nothing_bears_the_layout_s_name_or_its_label_s() -> None:
    page = raster(np.vstack([np.zeros((3, 1000)), noise(1, 1000)]))
    assert name_strips(LabelledRows(page, (), 25.0), [*SHORT, STRIP])[-1].lead == "II"
    labelled = LabelledRows(page, (word("V3", 10.0, 3),), 25.0)
    assert name_strips(labelled, [*SHORT, STRIP])[-1].lead == "V3"


def test_a_page_without_strips_has_nothing_to_repeat() -> None:
    assert worst_strip_db(raster(rows(None)), SHORT) is None
    unlike = worst_strip_db(raster(rows(None)), [*SHORT, STRIP])
    assert unlike is not None
    assert unlike < 6.0
