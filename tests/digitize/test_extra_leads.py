"""Extra leads: their labels name them, and nothing else does."""

import numpy as np
import pytest
from rasters import raster, word

from ecg_flare.digitize.leads.assign import assign
from ecg_flare.digitize.leads.extra_leads import name_extra_leads
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.strips import name_strips
from ecg_flare.ecg.leads import ALL_LEADS, LEADS

PLACES = [LeadSpan(lead, row, 0.0, 1000.0, 0.0, 4.0, False) for row, lead in enumerate(("V4R", "V8", "V9", "V6"))]


def page(*words: Word) -> LabelledRows:
    return LabelledRows(raster(np.zeros((4, 1000))), words, 25.0)


def named(*names: str) -> list[tuple[str, bool]]:
    words = [word(name, 10.0, row) for row, name in enumerate(names) if name]
    return [(span.lead, span.guessed) for span in name_extra_leads(page(*words), PLACES)]


def test_labels_say_which_extra_leads_a_page_prints() -> None:
    assert named("V3R", "V4R", "V7", "V6") == [("V3R", False), ("V4R", False), ("V7", False), ("V6", False)]


def test_a_place_without_a_label_or_with_one_of_the_twelve_keeps_its_name_as_a_guess() -> None:
    assert named("", "V6", "V9", "V1") == [("V4R", True), ("V8", True), ("V9", False), ("V6", False)]


def test_a_name_that_is_read_twice_is_a_guess_at_both_places() -> None:
    assert named("V8", "V8", "V9", "") == [("V8", True), ("V8", True), ("V9", False), ("V6", False)]


@pytest.mark.parametrize(("rival", "fit", "guessed"), [("V6", 0.90, False), ("V6", 0.94, True), ("V9", 0.90, True)])
def test_a_label_that_is_nearly_another_one_is_a_guess(rival: str, fit: float, guessed: bool) -> None:
    """V6 stands at a place of its own and is no likely rival; another extra lead is one."""
    near = word("V8", 10.0, 1, fit=0.95)
    near.fits[ALL_LEADS.index(rival)] = fit
    found = name_extra_leads(page(near), PLACES)[1]
    assert (found.lead, found.guessed) == ("V8", guessed)


def test_a_strip_may_be_an_extra_lead() -> None:
    strip = LeadSpan("II", 3, 0.0, 1000.0, 0.0, 4.0, True)
    (found,) = name_strips(page(word("V4R", 10.0, 3)), [strip])
    assert (found.lead, found.guessed) == ("V4R", False)


@pytest.mark.parametrize("lead", ["V8", "V6"])
def test_a_page_of_twelve_leads_reads_no_extra_one(lead: str) -> None:
    """The last label of a 12x1 page is as much like V8 as like V6: no such page prints V8."""
    words = [word(name, 10.0, row) for row, name in enumerate(LEADS[:-1])] + [word(lead, 10.0, 11)]
    last = words[-1]
    fits = np.where(np.isclose(last.fits, 0.95), last.fits, np.float32(0.2))
    fits[LEADS.index("V6")] = 0.9
    words[-1] = Word(last.left, last.top, last.right, last.bottom, last.n_letters, fits)
    found = assign(LabelledRows(raster(np.zeros((12, 1000))), tuple(words), 25.0), "12x1")
    assert found is not None
    assert (found.evidence.labels_read, found.evidence.labels_agreeing) == (12, 12)
    assert {span.lead for span in found.spans} == set(LEADS)
