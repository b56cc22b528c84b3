"""Which way up a page is kept: trials whose sense is known, of pictures that nothing is read from."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.digitize import Digitization
from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.orientation import Trial, UprightPageError, read_upright
from ecg_flare.errors import PageError
from ecg_flare.page.render import Page

Read = Callable[[ScaledPage, Clock], Trial]


@pytest.fixture
def unsure(clean_reading: Digitization) -> Digitization:
    """A reading that says nothing of up and down."""
    page = replace(clean_reading.page, upright_confidence=0.5)
    return replace(clean_reading, page=page, layout_confidence=0.4, confidence=0.4)


def test_two_names_more_win_and_else_a_clearly_greater_confidence(unsure: Digitization) -> None:
    names = frozenset({"V1", "V2"})
    assert Trial(unsure, names).beats(Trial(replace(unsure, confidence=0.99), frozenset()))
    assert not Trial(unsure, frozenset()).beats(Trial(unsure, names))
    assert Trial(replace(unsure, confidence=0.55), frozenset()).beats(Trial(unsure, frozenset({"V1"})))
    assert not Trial(replace(unsure, confidence=0.45), frozenset()).beats(Trial(unsure, frozenset()))


def test_a_page_is_upright_by_its_layout_its_pulses_or_its_names(unsure: Digitization) -> None:
    assert not Trial(unsure, frozenset({"V1"})).is_upright
    assert Trial(unsure, frozenset({"V1", "V2"})).is_upright
    assert Trial(replace(unsure, layout_confidence=0.5), frozenset()).is_upright
    assert Trial(replace(unsure, page=replace(unsure.page, upright_confidence=1.0)), frozenset()).is_upright


def picture(clean_page: Page) -> np.ndarray:
    """A page without pulses to stand up by."""
    return np.ascontiguousarray(clean_page.image[: clean_page.image.shape[0] // 2, 200:])


def test_an_upright_page_is_read_once_and_an_unsure_one_all_ways_up(clean_page: Page, unsure: Digitization) -> None:
    asked: list[tuple[int, ...]] = []

    def read(scaled: ScaledPage, clock: Clock) -> Trial:
        asked.append(scaled.page.image.shape)
        return Trial(replace(unsure, seconds=clock.seconds), names)

    names = frozenset({"V1", "V2"})
    found = read_upright(picture(clean_page), read)
    assert len(asked) == 1
    assert list(found.seconds) == ["rectify", "measure"]
    asked.clear()
    names = frozenset()
    read_upright(picture(clean_page), read)
    assert len(asked) == 6


def test_what_is_refused_as_it_lies_is_refused(clean_page: Page, unsure: Digitization) -> None:
    height, width = picture(clean_page).shape[:2]

    def refuse(scaled: ScaledPage, clock: Clock) -> Trial:
        if scaled.page.image.shape[0] < scaled.page.image.shape[1]:
            raise PageError("no trace")
        return Trial(unsure, names)

    assert height < width
    names = frozenset()
    with pytest.raises(PageError, match="no trace"):
        read_upright(picture(clean_page), refuse)
    names = frozenset({"V1", "V2"})
    on_its_side = read_upright(picture(clean_page), refuse)
    assert abs(on_its_side.page.rotation_deg - unsure.page.rotation_deg) == pytest.approx(90.0)


def test_a_refusal_with_names_ends_the_search(clean_page: Page) -> None:
    asked: list[Clock] = []

    def refuse(scaled: ScaledPage, clock: Clock) -> Trial:
        asked.append(clock)
        raise UprightPageError("no layout")

    with pytest.raises(UprightPageError):
        read_upright(picture(clean_page), refuse)
    assert len(asked) == 1
