"""Which way up a page is kept: trials whose sense is known, of pictures that nothing is read from."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from ecg_flare.digitize import Digitization
from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.orientation import Trial, UprightPageError, read_upright
from ecg_flare.errors import PageError
from ecg_flare.page.render import Page


@dataclass
class Told:
    """A reader that knows beforehand what it reads each way up, by `turned_deg`; it counts how often it was asked."""

    readings: dict[int, Trial | PageError]
    looks: list[int] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)

    def look(self, scaled: ScaledPage) -> Trial:
        self.looks.append(scaled.page.turned_deg)
        found = self.readings[scaled.page.turned_deg]
        if isinstance(found, PageError):
            raise found
        return replace(found, result=replace(found.result, page=scaled.page))

    def finish(self, scaled: ScaledPage, trial: Trial | None) -> Trial:
        self.finished.append(scaled.page.turned_deg)
        if trial is None:
            raise PageError("the others refuse it, too")
        return trial


@pytest.fixture
def unsure(clean_reading: Digitization) -> Trial:
    """A reading that says nothing of up and down."""
    return Trial(replace(clean_reading, layout_confidence=0.4, confidence=0.4, warnings=()), frozenset(), False)


@pytest.fixture
def picture(clean_page: Page) -> np.ndarray:
    """A page without pulses or print to stand up by."""
    height = clean_page.image.shape[0]
    part = clean_page.image[height // 2 : 7 * height // 8, 200:]
    for box in clean_page.truth.print_boxes:
        left, top = np.floor(box.min(axis=0)).astype(int) - [200, height // 2]
        right, bottom = np.ceil(box.max(axis=0)).astype(int) + 1 - [200, height // 2]
        part = part.copy()
        part[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 255
    return np.ascontiguousarray(part)


def test_two_names_or_a_layout_settle_the_way_up(unsure: Trial, picture: np.ndarray) -> None:
    for trial in (replace(unsure, names=frozenset({"V1", "V2"})), replace(unsure, fits=True)):
        reader = Told({0: trial})
        assert read_upright(picture, reader, Clock()).warnings == ()
        assert (reader.looks, reader.finished) == ([0], [0])


def test_a_greater_confidence_alone_turns_no_page(unsure: Trial, picture: np.ndarray) -> None:
    surer = replace(unsure, result=replace(unsure.result, confidence=0.9))
    reader = Told({0: unsure, 90: surer, 180: surer, 270: surer})
    found = read_upright(picture, reader, Clock())
    assert (found.page.turned_deg, found.confidence) == (0, 0.4)
    assert found.warnings == ("nothing on this page says which way is up: it was read as it was handed in",)
    assert sorted(reader.looks) == [0, 90, 180, 270]
    assert reader.finished == [0]


def test_what_nothing_decides_is_not_confident(unsure: Trial, picture: np.ndarray) -> None:
    sure = replace(unsure, result=replace(unsure.result, confidence=0.99))
    found = read_upright(picture, Told(dict.fromkeys((0, 90, 180, 270), sure)), Clock())
    assert found.confidence < CONFIDENT


@pytest.mark.parametrize("turned_deg", [90, 180, 270])
def test_a_witness_turns_a_page_and_the_turn_is_told(unsure: Trial, picture: np.ndarray, turned_deg: int) -> None:
    for witness, words in (({"names": frozenset({"V1", "aVF"})}, "V1, aVF"), ({"fits": True}, "layout")):
        readings = dict.fromkeys((0, 90, 180, 270), unsure) | {turned_deg: replace(unsure, **witness)}
        reader = Told(readings)
        found = read_upright(picture, reader, Clock())
        assert found.page.turned_deg == turned_deg
        assert f"turned by {turned_deg} degrees clockwise" in found.warnings[0]
        assert words in found.warnings[0]
        assert reader.finished == [turned_deg]
        height, width = picture.shape[:2]
        corner = {90: (height - 1, 0), 180: (width - 1, height - 1), 270: (0, width - 1)}[turned_deg]
        x, y, w = found.page.homography @ np.array([0.0, 0.0, 1.0])
        assert (x / w, y / w) == pytest.approx(corner, abs=3.0)


def test_what_is_refused_as_it_lies_is_refused_unless_another_way_up_is_settled(
    unsure: Trial, picture: np.ndarray
) -> None:
    readings = dict.fromkeys((0, 90, 180, 270), unsure) | {0: PageError("no trace")}
    with pytest.raises(PageError, match="no trace"):
        read_upright(picture, Told(readings), Clock())
    on_its_side = read_upright(picture, Told(readings | {270: replace(unsure, fits=True)}), Clock())
    assert on_its_side.page.turned_deg == 270


def test_a_refusal_with_names_ends_the_search(picture: np.ndarray) -> None:
    reader = Told({0: UprightPageError("no layout")})
    with pytest.raises(UprightPageError):
        read_upright(picture, reader, Clock())
    assert reader.looks == [0]
