"""Where on the page is the trace: a segmenter is any callable, and one of them needs no learning.

The classical segmenter tells ink from grid by colour where there is colour and by its regular lines where there is
none, and tells trace from print by the size and shape of what hangs together.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, UInt8

from ecg_flare.errors import ConfigError
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, Label

Probabilities = Float32[np.ndarray, "4 h w"]
Segmenter = Callable[[UInt8[np.ndarray, "h w 3"]], Probabilities]

SEGMENTER_GROUP: Final = "ecg_flare.segmenters"
SEGMENTERS: Final = {"bundled": "ecg_flare.nnunet.predictor:bundled_segmenter"}
"""The entry points of SEGMENTER_GROUP that are loaded, by name; what another package puts there is not."""
AUTO: Final = "auto"
"""The name of several segmenters, tried in turn: `candidates.load_segmenters`."""
INK_FLOOR: Final = 0.10  # darkness that paper noise and JPEG blocks reach
BLOCK_MM: Final = 12.0  # stretch over which a grid line is straight, and longer than any stroke of the trace
LONGEST_STROKE_MM: Final = 70.0  # a vertical run beyond this may be a frame; tall R waves reach 50 mm
FRAME_SWAY_PX: Final = 3.5  # of both edges of a frame together; strokes of rows that run into each other sway by 4 to 9
LONGEST_LEVEL_MM: Final = 120.0  # a perfectly level run beyond this is a frame
SMALLEST_TRACE_MM: Final = 11.0  # print is narrower than this, a lead is wider
GRID_CAP_PERCENTILE: Final = 95.0
SPECK_MM2: Final = 0.15
FAINT: Final = 0.25  # of full ink: a hair line averaged to 4 px/mm
STRONG: Final = 0.45
THREAD_MM: Final = 0.85  # ink a column of a trace away from the QRS, widened by the blur of 4 px/mm


def load_segmenter(name: str) -> Segmenter:
    """Return the segmenter of that name: "classical", or one of SEGMENTERS.

    Those are entry points: functions without arguments that return a segmenter. That is how "bundled" gets here without
    this package knowing of nnU-Net. Raises ConfigError for any other name.
    """
    if name == "classical":
        return classical_segmenter
    offered = offered_segmenters()
    if name not in offered:
        raise ConfigError(
            f"No segmenter is called {name!r}; expected one of {', '.join([AUTO, 'classical', *sorted(offered)])}."
        )
    loader: Callable[[], Segmenter] = offered[name].load()
    return loader()


def offered_segmenters() -> dict[str, EntryPoint]:
    """The entry points of SEGMENTERS that are installed, by name."""
    found = entry_points(group=SEGMENTER_GROUP)
    return {entry.name: entry for entry in found if SEGMENTERS.get(entry.name) == entry.value}


def darkness(image: UInt8[np.ndarray, "h w 3"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    """Return how far every pixel is below the paper around it in its brightest channel, 0 (paper) to 1 (black).

    The brightest channel is nearly blind to a coloured grid: red, orange, blue and green lines keep one channel bright,
    ink keeps none.
    """
    value = image.max(axis=2)
    size = max(3, round(6 * px_per_mm)) | 1
    small = cv2.resize(value, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    half = max(3, size // 2) | 1
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((half, half), np.uint8))
    paper = cv2.blur(paper, (half, half))
    paper = cv2.resize(paper, (value.shape[1], value.shape[0]), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    dark: Float32[np.ndarray, "h w"] = np.clip(1.0 - value.astype(np.float32) / np.maximum(paper, 24.0), 0.0, 1.0)
    return dark


def grid_darkness(dark: Float32[np.ndarray, "h w"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
    """Return the darkness that straight level and upright lines explain: medians along blocks of both directions."""
    result: Float32[np.ndarray, "h w"] = np.maximum(
        _upright_lines(dark, px_per_mm), _upright_lines(dark.T, px_per_mm).T
    )
    return result


def _upright_lines(dark: Float32[np.ndarray, "h w"], px_per_mm: float) -> Float32[np.ndarray, "h w"]:
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


def _ink_level(ink: Float32[np.ndarray, "h w"]) -> float:
    """Return the darkness of full ink: the mean of the upper class by Otsu's threshold over what is not paper."""
    values = ink[ink > INK_FLOOR]
    if values.size < 50:
        return 0.0
    scaled = np.clip(values * 255, 0, 255).astype(np.uint8).reshape(-1, 1)
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float(values[values * 255 >= threshold].mean())


def _hysteresis(ink: Float32[np.ndarray, "h w"], low: float, high: float) -> Bool[np.ndarray, "h w"]:
    """Return the ink above `low` in pieces that reach `high` somewhere."""
    weak = (ink > low).astype(np.uint8)
    count, pieces = cv2.connectedComponents(weak, connectivity=8)
    strong = np.zeros(count, bool)
    strong[np.unique(pieces[ink > high])] = True
    strong[0] = False
    kept: Bool[np.ndarray, "h w"] = strong[pieces]
    return kept


def upright_runs(binary: UInt8[np.ndarray, "h w"], min_px: float) -> UInt8[np.ndarray, "h w"]:
    """Return what of a binary image stands in unbroken runs of at least so many pixels, straight up a column."""
    result: UInt8[np.ndarray, "h w"] = cv2.morphologyEx(binary, cv2.MORPH_OPEN, np.ones((round(min_px), 1), np.uint8))
    return result


def _long_lines(mask: Bool[np.ndarray, "h w"], px_per_mm: float) -> Bool[np.ndarray, "h w"]:
    binary = mask.astype(np.uint8)
    upright = _without_stacked_strokes(upright_runs(binary, LONGEST_STROKE_MM * px_per_mm), mask)
    level = cv2.morphologyEx(binary, cv2.MORPH_OPEN, np.ones((1, round(LONGEST_LEVEL_MM * px_per_mm)), np.uint8))
    lines: Bool[np.ndarray, "h w"] = cv2.dilate(upright | level, np.ones((3, 3), np.uint8)).astype(bool) & mask
    return lines


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


def _classify(mask: Bool[np.ndarray, "h w"], px_per_mm: float) -> Int32[np.ndarray, "h w"]:
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


def classical_segmenter(image: UInt8[np.ndarray, "h w 3"]) -> Probabilities:
    """Segment a page at NORMALIZED_PX_PER_MM without learning; returns class probabilities in the order of `Label`.

    Pulses stay with the trace that they stand beside: the assignment stage cuts them off by their shape.
    """
    px_per_mm = NORMALIZED_PX_PER_MM
    dark = darkness(image, px_per_mm)
    grid = grid_darkness(dark, px_per_mm)
    ink = np.clip((dark - grid) / np.maximum(1.0 - grid, 0.15), 0.0, 1.0)
    level = _ink_level(ink)
    probabilities = np.zeros((len(Label), *dark.shape), np.float32)
    if level == 0.0:
        probabilities[Label.BACKGROUND] = 1.0
        return probabilities
    strength = 1.0 / (1.0 + np.exp(-(ink / level - FAINT) / 0.05))
    mask = _hysteresis(ink / level, FAINT, STRONG)
    lines = _long_lines(mask, px_per_mm)
    named = _classify(mask & ~lines, px_per_mm)
    named[lines] = int(Label.PRINT)
    spread = _spread_names(named)
    for label in (Label.TRACE, Label.PRINT):
        probabilities[label] = np.where(spread == int(label), strength, 0.0)
    probabilities[Label.BACKGROUND] = 1.0 - probabilities[1:].sum(axis=0)
    return probabilities


def _spread_names(named: Int32[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
    """Let the rim of a stroke, too pale for the mask, share the name of its core; trace wins over print."""
    kernel = np.ones((3, 3), np.uint8)
    trace = cv2.dilate((named == int(Label.TRACE)).astype(np.uint8), kernel).astype(bool)
    printed = cv2.dilate((named == int(Label.PRINT)).astype(np.uint8), kernel).astype(bool)
    spread = np.where(printed, int(Label.PRINT), int(Label.BACKGROUND))
    spread[trace & (named != int(Label.PRINT))] = int(Label.TRACE)
    return spread.astype(np.int32)
