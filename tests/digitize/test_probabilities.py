"""What a segmenter answers is checked before it is used."""

import numpy as np
import pytest

from ecg_flare.digitize import digitize
from ecg_flare.digitize.ink.probabilities import check_probabilities
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import ConfigError
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle


def softmax(n_classes: int = 4) -> np.ndarray:
    logits = np.random.default_rng(0).normal(size=(n_classes, 3, 5))
    powers = np.exp(logits)
    return (powers / powers.sum(axis=0)).astype(np.float32)


def changed(value: float) -> np.ndarray:
    found = softmax()
    found[1, 2, 4] = value
    return found


def test_probabilities_are_handed_on_unchanged() -> None:
    found = softmax()
    assert check_probabilities(found, (3, 5), "mine") is found


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (softmax(2), r"float32 of shape \(2, 3, 5\); expected float32 of shape \(4, 3, 5\).*background, trace"),
        (softmax(5), r"shape \(5, 3, 5\)"),
        (softmax().transpose(0, 2, 1), r"shape \(4, 5, 3\)"),
        (softmax()[1], r"shape \(3, 5\)"),
        (softmax().astype(np.float64), "float64 of shape"),
        (softmax().argmax(axis=0), "int64 of shape"),
        ([[1.0]], "list"),
        (None, "NoneType"),
        (changed(float("nan")), "numbers from nan to nan"),
        (changed(float("inf")), "to inf"),
        (changed(-0.2), "numbers from -0.2"),
        (changed(1.5), "to 1.5"),
        (0.5 * softmax(), "sum to 0.5 in a pixel; expected 1: apply a softmax"),
    ],
)
def test_what_is_none_is_refused_by_what_was_found(found: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"segmenter mine answered with .*{message}"):
        check_probabilities(found, (3, 5), "mine")


def test_a_model_of_two_classes_is_refused_for_a_whole_page() -> None:
    rng = np.random.default_rng(3)
    page = render_page(synthesize(rng), PageStyle(dpi=100), rng)

    def two_classes(image: np.ndarray) -> np.ndarray:
        return np.full((2, *image.shape[:2]), 0.5, np.float32)

    with pytest.raises(ConfigError, match=r"two_classes answered with float32 of shape \(2, "):
        digitize(page.image, segmenter=two_classes)
