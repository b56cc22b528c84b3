"""Ink named piece by piece, as it hangs together: a trace is wide and thin, print is small or fills its box."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Int32

from ecg_flare.page.raster import Label

SMALLEST_TRACE_MM: Final = 11.0  # print is narrower than this, a lead is wider
SPECK_MM2: Final = 0.15
THREAD_MM: Final = 0.85  # ink a column of a trace away from the QRS, widened by the blur of 4 px/mm


def name_pieces(mask: Bool[np.ndarray, "h w"], px_per_mm: float) -> Int32[np.ndarray, "h w"]:
    """Name every connected piece of ink by its size and shape."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    width_mm, height_mm = stats[:, cv2.CC_STAT_WIDTH] / px_per_mm, stats[:, cv2.CC_STAT_HEIGHT] / px_per_mm
    area_mm2 = stats[:, cv2.CC_STAT_AREA] / px_per_mm**2
    names = np.full(count, int(Label.PRINT), np.int32)
    names[width_mm >= SMALLEST_TRACE_MM] = int(Label.TRACE)
    # text lines that hang together are wide too, but fill their box; a trace is a thread in its own
    filled = area_mm2 / np.maximum(width_mm * height_mm, 1e-6)
    names[(width_mm >= SMALLEST_TRACE_MM) & (filled > 0.45) & (height_mm > 2.5)] = int(Label.PRINT)
    # a piece of a thread has little ink a column, a letter has several strokes or an upright one
    names[(area_mm2 / np.maximum(width_mm, 1e-6) < THREAD_MM) & (width_mm > 1.5)] = int(Label.TRACE)
    names[(width_mm < 1.2) & (height_mm > 3.0)] = int(Label.PRINT)
    names[area_mm2 < SPECK_MM2] = int(Label.BACKGROUND)
    names[0] = int(Label.BACKGROUND)
    return _join_fragments(names[pieces], pieces, stats, names, px_per_mm)


def connected_to(mask: Bool[np.ndarray, "h w"], seeds: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the pieces of a mask, corners joining, that hold a pixel of the seeds."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    held = np.zeros(count, bool)
    held[np.unique(pieces[seeds])] = True
    held[0] = False
    connected: Bool[np.ndarray, "h w"] = held[pieces]
    return connected


def _join_fragments(
    named: Int32[np.ndarray, "h w"],
    pieces: Int32[np.ndarray, "h w"],
    stats: Int32[np.ndarray, "n 5"],
    names: Int32[np.ndarray, " n"],
    px_per_mm: float,
) -> Int32[np.ndarray, "h w"]:
    """Call a small piece trace if it continues a long one sideways: a faint stroke breaks a trace into pieces."""
    reach = max(2, round(1.5 * px_per_mm))
    trace = (named == int(Label.TRACE)).astype(np.uint8)
    for _ in range(2):
        near = cv2.dilate(trace, np.ones((3, 2 * reach + 1), np.uint8))
        inside = np.bincount(pieces.ravel(), weights=near.ravel(), minlength=len(names))
        share = inside / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
        low = stats[:, cv2.CC_STAT_HEIGHT] < 1.6 * px_per_mm
        joined = (names == int(Label.PRINT)) & (share > 0.5) & low
        if not joined.any():
            break
        names = np.where(joined, int(Label.TRACE), names).astype(np.int32)
        trace = (names[pieces] == int(Label.TRACE)).astype(np.uint8)
    result: Int32[np.ndarray, "h w"] = names[pieces]
    return result


def spread_names(named: Int32[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
    """Let the rim of a stroke, too pale for the mask, share the name of its core; trace wins over print."""
    kernel = np.ones((3, 3), np.uint8)
    trace = cv2.dilate((named == int(Label.TRACE)).astype(np.uint8), kernel).astype(bool)
    printed = cv2.dilate((named == int(Label.PRINT)).astype(np.uint8), kernel).astype(bool)
    spread = np.where(printed, int(Label.PRINT), int(Label.BACKGROUND))
    spread[trace & (named != int(Label.PRINT))] = int(Label.TRACE)
    return spread.astype(np.int32)
