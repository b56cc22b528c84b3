"""Small pages that need no rendering: dark lines on a pink grid, with their masks."""

import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ecg_flare.task.traces.page_case import PageCase


@dataclass(frozen=True)
class ScribbledPages:
    """A source of small pages; the worker's child builds it too, by this module's name."""

    pages: int = 6
    patients: int = 3
    height: int = 300
    width: int = 500
    seed: int = 0

    def describe(self, site: str) -> Any:
        return {"source": "scribbles", "site": site, **self.__dict__}

    def cases(self, site: str) -> Iterator[PageCase]:
        for index in range(self.pages):
            image, mask = scribbled_page(np.random.default_rng([self.seed, index]), self.height, self.width)
            yield PageCase(f"page{index}", f"patient{index % self.patients}", image, mask)


def scribbled_page(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Three wandering lines on a grid: an RGB image and its mask."""
    image = np.full((height, width, 3), 250, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    image[::20] = image[:, ::20] = (250, 180, 180)
    x = np.arange(0, width, 2)
    for row in range(3):
        y = (height * (row + 0.5) / 3 + np.cumsum(rng.normal(0, 2, x.size))).clip(2, height - 3)
        points = np.stack([x, y], 1).astype(np.int32)
        cv2.polylines(image, [points], False, (20, 20, 20), 2)
        cv2.polylines(mask, [points], False, 1, 3)
    return image, mask


@dataclass(frozen=True)
class NoisyPages(ScribbledPages):
    """Pages whose code prints to stdout, which the training process keeps for its messages."""

    def cases(self, site: str) -> Iterator[PageCase]:
        print("a library's banner", flush=True)
        os.write(1, b"\x00\xff not a message\n")
        yield from super().cases(site)


@dataclass(frozen=True)
class EndlessPages(ScribbledPages):
    """Pages that never come: the process waits, as on a lost network drive."""

    def cases(self, site: str) -> Iterator[PageCase]:
        print("waiting for the archive", file=sys.stderr, flush=True)
        threading.Event().wait()
        yield from super().cases(site)


@dataclass(frozen=True)
class BrokenPages(ScribbledPages):
    """Pages whose code has a bug."""

    def cases(self, site: str) -> Iterator[PageCase]:
        raise ZeroDivisionError("a bug of the site's own code")
        yield
