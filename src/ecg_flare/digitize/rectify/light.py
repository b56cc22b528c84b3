"""Light on a page: how bright the paper is at every place, and how dark what is printed on it.

Paper is brighter than anything printed on it, so the brightest value near a place, smoothed, is the paper there.
Dividing by it takes shadows and a lamp's falloff away without touching the contrast of thin lines. What is sought says
how the paper is taken and in which channel:

| function | channel | sees |
|---|---|---|
| `flatten_light` | each | the page for people and for all stages after: paper of one brightness |
| `grid_darkness` | darkest | a grid of any colour: red lines are dark in green and blue, blue lines in red |
| `ink_darkness` | brightest | ink alone: red, orange, blue and green lines keep one channel bright, ink keeps none |
| `line_depth` | brightest | thin lines of ink, over what is within a millimetre |
| `over_paper` | each | a pixel's colour as a share of its paper's |
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_PAPER_CELLS: Final = 96  # the paper's brightness is measured on a picture this many cells long, finer than a shadow
_EVEN_RATIO: Final = 0.88  # paper whose darkest tenth is this bright, relative to its brightest, needs no flattening
_DARKEST_PAPER: Final = 24.0  # below this an area is not paper (the table, a black box): it is left as dark as it is
_INK_REACH_MM: Final = 6.0  # paper is seen within this distance of any ink
_PAPER_SCALE: Final = 8  # the paper's colour is smooth: estimated on a page this many times smaller


def flatten_light(image: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h w 3"], bool]:
    """Give the paper the same brightness everywhere; returns the image and whether it was changed.

    An evenly lit page comes back as the same array, untouched. The paper's tint is kept: every channel is brought to
    its own bright level, not to white.
    """
    cells = [_paper_cells(np.ascontiguousarray(image[:, :, channel])) for channel in range(3)]
    targets = [float(np.quantile(level, 0.9)) for level in cells]
    evenness = min(
        float(np.quantile(level, 0.1)) / max(target, 1.0) for level, target in zip(cells, targets, strict=True)
    )
    if evenness >= _EVEN_RATIO:
        return image, False
    height, width = image.shape[:2]
    planes = [
        cv2.convertScaleAbs(image[:, :, channel] * (target / _enlarge(level, width, height)))
        for channel, (level, target) in enumerate(zip(cells, targets, strict=True))
    ]
    return np.dstack(planes), True


def grid_darkness(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """How much darker than the paper each pixel is in its darkest channel: 0 bare paper, 1 black.

    The darkest channel sees a grid of any colour: red lines are dark in green and blue, blue lines in red.
    """
    darkest = darkest_channel(image)
    dark: Float32[np.ndarray, "h w"] = np.clip(1.0 - darkest / paper_level(darkest), 0.0, 1.0)
    return dark


def ink_darkness(image: UInt8[np.ndarray, "h w 3"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    """Return how far every pixel is below the paper around it in its brightest channel, 0 (paper) to 1 (black).

    The brightest channel is nearly blind to a coloured grid: red, orange, blue and green lines keep one channel bright,
    ink keeps none.
    """
    value = image.max(axis=2)
    size = max(3, round(_INK_REACH_MM * px_per_mm)) | 1
    small = cv2.resize(value, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    half = max(3, size // 2) | 1
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((half, half), np.uint8))
    paper = cv2.blur(paper, (half, half))
    paper = cv2.resize(paper, (value.shape[1], value.shape[0]), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    dark: Float32[np.ndarray, "h w"] = np.clip(1.0 - value.astype(np.float32) / np.maximum(paper, 24.0), 0.0, 1.0)
    return dark


def line_depth(image: UInt8[np.ndarray, "h w 3"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    """How much darker than their surroundings thin lines are, 0 to 1, in the channel where they are brightest.

    A coloured grid is bright in one channel; black ink is dark in all.
    """
    brightest = cv2.GaussianBlur(brightest_channel(image), (3, 3), 0.6)
    side = 2 * max(2, round(px_per_mm)) + 1
    around = cv2.morphologyEx(brightest, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)).astype(np.float32)
    depth: Float32[np.ndarray, "h w"] = (around - brightest) / np.maximum(around, np.float32(24.0))
    return depth


def over_paper(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Return the page over its own paper colour: 1 where there is paper, whatever the light."""
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (max(1, width // _PAPER_SCALE), max(1, height // _PAPER_SCALE)), interpolation=cv2.INTER_AREA
    )
    size = max(3, min(small.shape[:2]) // 16) | 1
    paper = cv2.morphologyEx(small, cv2.MORPH_DILATE, np.ones((3, 3), np.uint8))
    paper = cv2.blur(paper, (size, size))
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    even: Float32[np.ndarray, "h w 3"] = cv2.divide(image, np.maximum(paper, 16), dtype=cv2.CV_32F)
    return even


def paper_level(channel: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Brightness of the bare paper at every pixel of one channel, on the channel's scale of 0 to 255."""
    return _enlarge(_paper_cells(channel), channel.shape[1], channel.shape[0])


def _paper_cells(channel: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "ch cw"]:
    height, width = channel.shape
    step = max(height, width) / _PAPER_CELLS
    # The brightest pixel counts, not the mean: a cell full of grid lines must not look like a shadow.
    radius = max(1, round(step / 2))
    brightest = cv2.dilate(cv2.blur(channel, (3, 3)), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
    size = (max(1, round(width / step)), max(1, round(height / step)))
    cells = cv2.resize(brightest, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    opened = cv2.erode(cells, np.ones((3, 3), np.uint8))
    smooth: Float32[np.ndarray, "ch cw"] = cv2.GaussianBlur(opened, (0, 0), 2.0)
    return smooth


def _enlarge(cells: Float32[np.ndarray, "ch cw"], width: int, height: int) -> Float32[np.ndarray, "h w"]:
    level: Float32[np.ndarray, "h w"] = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    floored: Float32[np.ndarray, "h w"] = np.maximum(level, np.float32(_DARKEST_PAPER))
    return floored


def darkest_channel(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """The smallest of each pixel's channels; ten times as fast as numpy's minimum along a short axis."""
    red, green, blue = cv2.split(image)
    darkest: UInt8[np.ndarray, "h w"] = cv2.min(cv2.min(red, green), blue)
    return darkest


def brightest_channel(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """The largest of each pixel's channels."""
    red, green, blue = cv2.split(image)
    brightest: UInt8[np.ndarray, "h w"] = cv2.max(cv2.max(red, green), blue)
    return brightest
