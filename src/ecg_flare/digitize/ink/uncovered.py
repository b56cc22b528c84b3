"""Ink of traces under a stroke that is taken off: a trace that goes on straight on its other side went on under it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ecg_flare.digitize.units import PxPerMm

ASLANT: Final = 2.0
"""How many times its thickness a stroke may hide of a trace that it crosses, for the gap to be closed."""

STRAIGHT_MM: Final = 1.0
"""Of a trace on both sides of a gap that is closed."""

_ANGLES: Final = tuple(np.arange(8) * np.pi / 8)


def uncovered(
    trace: Float32[np.ndarray, "h w"], strokes: UInt8[np.ndarray, "h w"], scale: PxPerMm
) -> Float32[np.ndarray, "h w"]:
    """Return the traces' ink, 0 to 1, without strokes (1 on 0); what goes on straight behind them is joined."""
    result = np.where(strokes > 0, np.float32(0.0), trace)
    rest = result.copy()
    run, reach = round(STRAIGHT_MM * scale.finer), round(ASLANT * _thickness_px(strokes))
    margin = run + reach
    for left, top, width, height in _boxes(strokes):
        box = np.s_[max(0, top - margin) : top + height + margin, max(0, left - margin) : left + width + margin]
        joined = np.max([_joined(rest[box], run, reach, angle) for angle in _ANGLES], axis=0)
        result[box] = np.where(strokes[box] > 0, np.maximum(result[box], joined), result[box])
    return result


def _boxes(strokes: UInt8[np.ndarray, "h w"]) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width and height of every connected piece."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    for piece in range(1, count):
        left, top, width, height = (int(value) for value in stats[piece, : cv2.CC_STAT_HEIGHT + 1])
        yield left, top, width, height


def _joined(ink: Float32[np.ndarray, "h w"], run: int, reach: int, angle: float) -> Float32[np.ndarray, "h w"]:
    """Return ink that runs straight at an angle, its gaps up to `reach` pixels closed."""
    straight = cv2.morphologyEx(ink, cv2.MORPH_OPEN, _line(run, angle))
    closed: Float32[np.ndarray, "h w"] = cv2.morphologyEx(straight, cv2.MORPH_CLOSE, _line(reach + 1, angle))
    return closed


def _line(length: int, angle: float) -> UInt8[np.ndarray, "k k"]:
    """Return a kernel with a straight line through its middle."""
    half = max(1, round(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.uint8)
    across, down = round(half * np.cos(angle)), round(half * np.sin(angle))
    cv2.line(kernel, (half - across, half - down), (half + across, half + down), 1)
    return kernel


def _thickness_px(strokes: UInt8[np.ndarray, "h w"]) -> float:
    """Return how thick strokes are: twice their area over that of their outermost pixels, on both sides of them."""
    inner = cv2.erode(strokes, np.ones((3, 3), np.uint8))
    area = cv2.countNonZero(strokes)
    return 2.0 * area / max(1, area - cv2.countNonZero(inner))
