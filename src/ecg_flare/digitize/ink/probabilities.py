"""What a segmenter says of a page: the probability of each class in each pixel, checked before it is used."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError
from ecg_flare.page.raster import Label

Probabilities = Float32[np.ndarray, "4 h w"]
"""Class probabilities in the order of `Label`, summing to 1 in each pixel."""

TOLERANCE: Final = 0.01
"""Of a probability and of their sum: rounding in half precision stays below a tenth of this."""


def check_probabilities(found: object, shape: tuple[int, int], segmenter: str) -> Probabilities:
    """Return what a segmenter answered for a picture of `shape` (height, width), unchanged.

    Raises ConfigError for anything but float32 of shape (4, height, width), for numbers that are not finite or lie
    outside 0 to 1, and for classes that do not sum to 1.
    """
    expected = (len(Label), *shape)
    order = ", ".join(label.name.lower() for label in Label)
    if not isinstance(found, np.ndarray):
        raise ConfigError(
            f"segmenter {segmenter} answered with {type(found).__name__}; expected float32 probabilities of shape "
            f"{expected}, in the order {order}"
        )
    if found.shape != expected or found.dtype != np.float32:
        raise ConfigError(
            f"segmenter {segmenter} answered with {found.dtype} of shape {found.shape}; expected float32 of shape "
            f"{expected}: a page has {len(Label)} classes, {order}"
        )
    low, high = float(found.min()), float(found.max())
    if not (low >= -TOLERANCE and high <= 1.0 + TOLERANCE):  # a NaN fails every comparison
        raise ConfigError(
            f"segmenter {segmenter} answered with numbers from {low:g} to {high:g}; expected probabilities, 0 to 1"
        )
    sums = found.sum(axis=0)
    worst = float(sums.ravel()[int(np.abs(sums - 1.0).argmax())])
    if abs(worst - 1.0) > TOLERANCE:
        raise ConfigError(
            f"segmenter {segmenter} answered with classes that sum to {worst:g} in a pixel; expected 1: apply a softmax"
        )
    return found
