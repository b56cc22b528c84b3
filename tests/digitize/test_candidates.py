"""Which segmenters are tried, and what two of them say together."""

import numpy as np
import pytest

from ecg_flare.digitize.ink import segmenters
from ecg_flare.digitize.ink.candidates import Remembering, joined, load_segmenters
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.ink.segmenters import Segmenter
from ecg_flare.errors import ConfigError
from ecg_flare.page.raster import Label


def test_auto_is_three_segmenters_and_any_other_name_is_one() -> None:
    assert len(load_segmenters("auto")) == 3
    assert load_segmenters("classical") == (classical_segmenter,)
    with pytest.raises(ConfigError, match="'nonsense'"):
        load_segmenters("nonsense")


def test_without_the_bundled_model_auto_is_the_classical_segmenter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenters, "offered_segmenters", dict)
    assert load_segmenters("auto") == (classical_segmenter,)


def test_joined_trace_is_the_greater_and_the_rest_makes_room() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.dirichlet(np.ones(len(Label)), (5, 6)).astype(np.float32).transpose(2, 0, 1) for _ in range(2))
    both = joined(first, second)
    np.testing.assert_array_equal(both[Label.TRACE], np.maximum(first[Label.TRACE], second[Label.TRACE]))
    np.testing.assert_allclose(both.sum(axis=0), 1.0, atol=1e-5)
    # print and pulse keep their odds
    np.testing.assert_allclose(
        both[Label.PRINT] * first[Label.PULSE], first[Label.PRINT] * both[Label.PULSE], atol=1e-6
    )


def test_a_segmenter_is_loaded_when_asked_and_asked_once_for_a_picture() -> None:
    loaded: list[str] = []
    asked: list[int] = []

    def segment(image: np.ndarray) -> np.ndarray:
        asked.append(image.shape[0])
        return np.zeros((4, *image.shape[:2]), np.float32)

    def load() -> Segmenter:
        loaded.append("model")
        return segment

    remembering = Remembering("model", load)
    small, large = np.zeros((3, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)
    assert not loaded
    for image in (small, small, large, small):
        remembering(image)
    assert asked == [3, 5, 3]
    assert loaded == ["model"]
