"""Darkness that a grid explains: straight lines that cross the page, level or upright."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

BLOCK_MM: Final = 12.0  # stretch over which a grid line is straight, and longer than any stroke of the trace
GRID_CAP_PERCENTILE: Final = 95.0


def straight_line_darkness(dark: Float32[np.ndarray, "h w"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    """Return the darkness that straight level and upright lines explain: medians along blocks of both directions."""
    result: Float32[np.ndarray, "h w"] = np.maximum(upright_lines(dark, px_per_mm), upright_lines(dark.T, px_per_mm).T)
    return result


def upright_lines(dark: Float32[np.ndarray, "h w"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    """Return the darkness that straight upright lines explain: medians along blocks of their length."""
    height, width = dark.shape
    block = max(8, round(BLOCK_MM * px_per_mm))
    count = max(1, round(height / block))
    edges = np.linspace(0, height, count + 1).astype(int)
    medians = np.stack([np.median(dark[a:b], axis=0) for a, b in pairwise(edges)])
    if count >= 3:
        # a stretch of trace may fill one block on its own; its neighbours know the grid
        padded = np.concatenate([medians[:1], medians, medians[-1:]])
        medians = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    # a resting line fills several blocks, a grid line nearly all: what few blocks have may be as dark as most lines are
    everywhere = cv2.dilate(np.percentile(medians, 25, axis=0)[None].astype(np.float32), np.ones((1, 5), np.uint8))
    usual = np.percentile(medians, GRID_CAP_PERCENTILE)
    medians = np.minimum(medians, np.maximum(1.3 * everywhere, usual))
    result: Float32[np.ndarray, "h w"] = cv2.resize(
        medians.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return result
