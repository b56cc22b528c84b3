"""What people write on pages: scribbles, rings around a complex, underlines, a bar over the name."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_flare.page.degrade.base import Degradation, between, px_per_mm, with_image
from ecg_flare.page.page import Page

_INKS = ((26, 42, 140), (20, 20, 28), (170, 28, 36), (24, 96, 60))
_STROKE_POINTS = 40


@dataclass(frozen=True)
class Pen(Degradation):
    """`marks` strokes of a pen, `width_mm` wide, in one colour, at places that `seed` chooses.

    `redaction` is the chance of a black bar over the name. Pen marks are nothing to the label mask: background.
    """

    marks: float = between(1, 6, within=(0, 100))
    width_mm: float = between(0.3, 0.7, within=(0, 10))
    redaction: float = between(0, 0.5, within=(0, 1))
    seed: int = 0

    def apply(self, page: Page) -> Page:
        """Write on the image."""
        rng = np.random.default_rng(self.seed)
        scale = px_per_mm(page)
        image = page.image.copy()
        height, width = image.shape[:2]
        colour = _INKS[int(rng.integers(len(_INKS)))]
        for _ in range(round(self.marks)):
            middle = rng.uniform([0.05, 0.05], [0.95, 0.95]) * [width, height]
            stroke = middle + _STROKES[int(rng.integers(len(_STROKES)))](rng) * scale
            thickness = max(1, round(self.width_mm * scale))
            cv2.polylines(image, [np.rint(stroke * 16).astype(np.int32)], False, colour, thickness, cv2.LINE_AA, 4)
        if rng.random() < self.redaction:
            corner = np.array([rng.uniform(0.02, 0.1) * width, rng.uniform(0.02, 0.06) * height])
            size = np.array([rng.uniform(25, 60), rng.uniform(5, 10)]) * scale
            (left, top), (right, bottom) = np.rint([corner, corner + size]).astype(int).tolist()
            cv2.rectangle(image, (left, top), (right, bottom), (12, 12, 14), -1)
        return with_image(page, image)


def _ring(rng: np.random.Generator) -> np.ndarray:
    turns = np.linspace(0, rng.uniform(2, 2.4) * np.pi, _STROKE_POINTS) + rng.uniform(0, 6.3)
    spiral = 1 + 0.06 * np.linspace(-1, 1, _STROKE_POINTS)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1) * spiral[:, None] * rng.uniform(4, 14, 2)


def _underline(rng: np.random.Generator) -> np.ndarray:
    along = np.linspace(0, rng.uniform(15, 50), _STROKE_POINTS)
    return np.stack([along, rng.uniform(-0.05, 0.05) * along + 0.4 * np.sin(along / 5)], axis=1)


def _scribble(rng: np.random.Generator) -> np.ndarray:
    # Handwriting without meaning: a hand that moves on while it swings at changing speeds and heights.
    n_points = 4 * _STROKE_POINTS
    along = np.linspace(0, rng.uniform(10, 35), n_points)
    knots = np.linspace(0, along[-1], 12)
    height, width, pace = (
        np.interp(along, knots, rng.uniform(low, high, 12)) for low, high in ((0.2, 2.8), (-0.8, 1.2), (0.8, 3.0))
    )
    turns = np.cumsum(pace) * (along[1] - along[0])
    return np.stack([along + width * np.cos(turns), height * np.sin(turns) - 0.1 * along], axis=1)


def _tick(rng: np.random.Generator) -> np.ndarray:
    size = rng.uniform(3, 9)
    return np.array([[0, 0], [0.35 * size, 0.5 * size], [size, -size]])


_STROKES = (_ring, _underline, _scribble, _tick)
