"""Lines too long for a trace: frames and separators, kept apart from the strokes of rows that run into each other."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Int64, UInt8

LONGEST_STROKE_MM: Final = 70.0
"""A vertical run beyond this may be a frame; tall R waves reach 50 mm."""

LONGEST_LEVEL_MM: Final = 120.0  # a perfectly level run beyond this is a frame
FRAME_SWAY_PX: Final = 3.5  # of both edges of a frame together; strokes of rows that run into each other sway by 4 to 9


def long_lines(mask: Bool[np.ndarray, "h w"], px_per_mm: float) -> Bool[np.ndarray, "h w"]:
    """Return the ink that belongs to level or upright lines too long for a trace, with the pixels beside them."""
    binary = mask.astype(np.uint8)
    upright = _without_stacked_strokes(upright_runs(binary, LONGEST_STROKE_MM * px_per_mm), mask)
    level = cv2.morphologyEx(binary, cv2.MORPH_OPEN, np.ones((1, round(LONGEST_LEVEL_MM * px_per_mm)), np.uint8))
    lines: Bool[np.ndarray, "h w"] = cv2.dilate(upright | level, np.ones((3, 3), np.uint8)).astype(bool) & mask
    return lines


def upright_runs(binary: UInt8[np.ndarray, "h w"], min_px: float) -> UInt8[np.ndarray, "h w"]:
    """Return what of a binary image stands in unbroken runs of at least so many pixels, straight up a column."""
    result: UInt8[np.ndarray, "h w"] = cv2.morphologyEx(binary, cv2.MORPH_OPEN, np.ones((round(min_px), 1), np.uint8))
    return result


def _without_stacked_strokes(
    upright: UInt8[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w"]:
    """Leave out what is no frame: QRS complexes of several rows, one above the other, are as long, but not as straight.

    The edges of a frame stand still all along it, but for the few places where something crosses it.
    """
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(upright, connectivity=8)
    frames = np.zeros(count, bool)
    width = mask.shape[1]
    for piece in range(1, count):
        left, top, across, height = stats[piece, :4]
        inside = left + (pieces[top : top + height, left : left + across] == piece).argmax(axis=1)
        beside = mask[top : top + height]
        right_edge = _inked_up_to(beside, inside)
        left_edge = width - 1 - _inked_up_to(beside[:, ::-1], width - 1 - inside)
        sway = sum(float(np.ptp(np.percentile(edge, (10, 90)))) for edge in (left_edge, right_edge))
        frames[piece] = sway < FRAME_SWAY_PX
    result: UInt8[np.ndarray, "h w"] = frames[pieces].astype(np.uint8)
    return result


def _inked_up_to(mask: Bool[np.ndarray, "h w"], column: Int64[np.ndarray, " h"]) -> Int64[np.ndarray, " h"]:
    """Return for each line of a mask the last column up to which it is inked without a break, from `column` on."""
    paper = ~mask & (np.arange(mask.shape[1]) > column[:, None])
    result: Int64[np.ndarray, " h"] = np.where(paper.any(axis=1), paper.argmax(axis=1), mask.shape[1]) - 1
    return result
