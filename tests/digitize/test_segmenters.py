"""Segmenters by name: the package's own, those that an owner's extension registers, and what is refused."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from ecg_flare.digitize.ink import segmenters
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.ink.probabilities import Probabilities
from ecg_flare.digitize.ink.segmenters import (
    Segmenter,
    auto_names,
    load_segmenter,
    offered_segmenters,
    register_segmenter,
    segment,
    segmenter_names,
)
from ecg_flare.errors import ConfigError
from ecg_flare.page.raster import Label

PAGE = np.full((64, 96, 3), 250, np.uint8)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a registry of its own."""
    monkeypatch.setattr(segmenters, "_registered", {})


def all_paper(image: np.ndarray) -> Probabilities:
    probabilities = np.zeros((len(Label), *image.shape[:2]), np.float32)
    probabilities[Label.BACKGROUND] = 1.0
    return probabilities


def load_paper() -> Segmenter:
    return all_paper


def test_the_bundled_model_is_found_by_its_entry_point() -> None:
    """Without it everything is read by the classical segmenter, with no more than a note."""
    assert segment(load_segmenter("bundled"), PAGE).shape == (len(Label), 64, 96)


def test_an_unknown_segmenter_names_what_there_is() -> None:
    assert load_segmenter("classical") is classical_segmenter
    register_segmenter("paper", load_paper)
    with pytest.raises(ConfigError, match=r"'nonsense'; expected one of auto, classical, bundled, paper\."):
        load_segmenter("nonsense")


def test_entry_points_of_other_packages_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    group = segmenters.SEGMENTER_GROUP
    own = EntryPoint("bundled", segmenters.SEGMENTERS["bundled"], group)
    foreign = (EntryPoint("bundled", "elsewhere:segmenter", group), EntryPoint("better", "elsewhere:other", group))
    monkeypatch.setattr(segmenters, "entry_points", lambda **_: [own, *foreign])
    assert offered_segmenters() == {"bundled": own}


def test_a_registered_segmenter_is_known_by_its_name_and_stays_out_of_auto() -> None:
    register_segmenter("paper", load_paper)
    assert load_segmenter("paper") is all_paper
    assert segmenter_names() == ("classical", "bundled", "paper")
    assert auto_names() == ("classical", "bundled+classical", "bundled")


def test_a_registered_segmenter_takes_the_place_in_auto_that_it_asks_for() -> None:
    register_segmenter("last", load_paper, auto=99)
    register_segmenter("second", load_paper, auto=15)
    register_segmenter("after-joined", load_paper, auto=20)
    assert auto_names() == ("classical", "second", "bundled+classical", "after-joined", "bundled", "last")
    assert len(load_segmenters("auto")) == 6
    np.testing.assert_array_equal(load_segmenters("auto")[1](PAGE), all_paper(PAGE))


@pytest.mark.parametrize("name", ["auto", "classical", "bundled"])
def test_the_packages_own_names_are_taken(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is the package's own"):
        register_segmenter(name, load_paper)


def test_a_name_taken_twice_is_refused_and_the_first_one_stays() -> None:
    register_segmenter("paper", load_paper)
    with pytest.raises(ConfigError, match="'paper' is registered already"):
        register_segmenter("paper", lambda: classical_segmenter)
    assert load_segmenter("paper") is all_paper


@pytest.mark.parametrize("name", ["", "Paper", "two words", "a+b", "../model", "7"])
def test_a_name_that_could_be_read_as_something_else_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="lower-case letters"):
        register_segmenter(name, load_paper)


def test_what_cannot_be_loaded_or_placed_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="loader of segmenter 'paper' is ndarray"):
        register_segmenter("paper", PAGE)  # type: ignore[arg-type]
    for place in (True, 1.5, "first"):
        with pytest.raises(ConfigError, match="expected a whole number"):
            register_segmenter("paper", load_paper, auto=place)  # type: ignore[arg-type]


def test_a_loader_that_returns_no_function_is_named() -> None:
    register_segmenter("nothing", lambda: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigError, match="'nothing' returned NoneType"):
        load_segmenter("nothing")


def test_an_answer_of_two_classes_names_who_gave_it() -> None:
    def two_classes(image: np.ndarray) -> np.ndarray:
        return np.full((2, *image.shape[:2]), 0.5, np.float32)

    with pytest.raises(ConfigError, match=r"segmenter two_classes answered with float32 of shape \(2, 64, 96\)"):
        segment(two_classes, PAGE)
