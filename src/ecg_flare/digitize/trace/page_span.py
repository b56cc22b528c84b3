"""Where the recording begins and ends on the paper: the rows without their calibration pulses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.trace.pen import pen_width_px
from ecg_flare.digitize.trace.rows import RowTrace

LEAD_OUT_MM: Final = 0.9  # of base line between a pulse and the recording where no gap is left between them
GAP_SEARCH_MM: Final = 5.0
MIN_GAP_MM: Final = 0.8
ROUND_END: Final = np.pi / 8  # of the pen's width: the area of a half disc over its height
LEVEL_COLUMNS: Final = 5
SAME_PLACE_MM: Final = 2.5
PULSE_RIM_MM: Final = 0.3
MIN_PULSES: Final = 2
PULSE_REACH_MM: Final = 25.0  # from the end of the rows to the pulse


@dataclass(frozen=True)
class PageSpan:
    """The stretch of x, in pixels, that holds the recording; the same for every row."""

    left_px: float
    right_px: float
    pulse: Literal["left", "right", "both", "none"]


def find_span(
    rows: Sequence[RowTrace],
    pulses: Sequence[Pulse],
    ink: Float32[np.ndarray, "h w"],
    px_per_mm_x: float,
) -> PageSpan:
    """Return where the recording begins and ends: what most rows say, their pulses cut off.

    `ink` is the traces' ink, which says to a fraction of a pixel where a line begins. A millisecond of a QRS is 0.1 mV.
    """
    first = np.array([row.first for row in rows], float)
    last = np.array([row.last for row in rows], float)
    middle = (np.median(first) + np.median(last)) / 2
    left_pulses = _beside(pulses, float(np.median(first)), middle, px_per_mm_x)
    right_pulses = _beside(pulses, float(np.median(last)), middle, px_per_mm_x)
    at_left, at_right = bool(left_pulses), bool(right_pulses)
    if at_left:
        fall = float(np.median([pulse.right_px for pulse in left_pulses]))
        first = np.array([_begin_after(row.y, fall, px_per_mm_x) for row in rows])
    if at_right:
        rise = float(np.median([pulse.left_px for pulse in right_pulses]))
        width = len(rows[0].y)
        last = np.array([width - 1 - _begin_after(row.y[::-1], width - 1 - rise, px_per_mm_x) for row in rows])
    side: Literal["left", "right", "both", "none"] = (
        "both" if at_left and at_right else "left" if at_left else "right" if at_right else "none"
    )
    pen = pen_width_px([row.bottom - row.top for row in rows])
    width = ink.shape[1]
    begins = np.array([_begin_px(ink, row.y, round(at), pen) for row, at in zip(rows, first, strict=True)])
    mirrored = [
        _begin_px(ink[:, ::-1], row.y[::-1], width - 1 - round(at), pen) for row, at in zip(rows, last, strict=True)
    ]
    ends = width - 1 - np.array(mirrored)
    return PageSpan(_agreed(begins, px_per_mm_x), _agreed(ends, px_per_mm_x), side)


def without_pulses(
    ink: Float32[np.ndarray, "h w"], pulses: Sequence[Pulse], px_per_mm_x: float
) -> Float32[np.ndarray, "h w"]:
    """Return the ink without what stands in the pulses' column and beyond it, where nothing is recorded.

    A pulse is as high as the way to the next row: followed as a line, it leads one row into another.
    """
    inked = np.flatnonzero((ink > 0.5).any(axis=0))
    if len(pulses) < MIN_PULSES or not len(inked):
        return ink
    middle = (inked[0] + inked[-1]) / 2
    cleared = ink.copy()
    down, along = np.arange(ink.shape[0]), np.arange(ink.shape[1])
    for at_left in (True, False):
        column = sorted((p for p in pulses if (p.left_px < middle) == at_left), key=lambda pulse: pulse.foot_px)
        if len(column) < MIN_PULSES:
            continue
        feet = [pulse.foot_px for pulse in column]
        edge = np.interp(down, feet, [pulse.right_px if at_left else pulse.left_px for pulse in column])[:, None]
        inside = along < edge + PULSE_RIM_MM * px_per_mm_x if at_left else along > edge - PULSE_RIM_MM * px_per_mm_x
        cleared[inside] = 0.0
    return cleared


def _begin_px(ink: Float32[np.ndarray, "h w"], y: Float64[np.ndarray, " w"], first: int, pen: float) -> float:
    """Return the x at which a line begins, from how much ink its first columns hold beside the next ones.

    A round pen leaves ROUND_END of its width beyond the line's end.
    """
    full = np.arange(first + 2, first + 2 + LEVEL_COLUMNS)
    if full[-1] >= len(y) or first < 2 or not np.isfinite(y[first : full[-1] + 1]).all():
        return first - 0.5 + ROUND_END * pen
    steep = np.ptp(y[first : full[-1] + 1]) > 1.5 * pen
    if steep:
        return first - 0.5 + ROUND_END * pen
    top, bottom = int(y[first] - 2 * pen - 1), int(y[first] + 2 * pen + 2)
    mass = ink[max(0, top) : bottom, first - 2 : full[-1] + 1].sum(axis=0)
    usual = float(np.median(mass[4:]))
    if usual <= 0:
        return first - 0.5 + ROUND_END * pen
    return float(first + 1.5 - np.minimum(mass[:4] / usual, 1.0).sum() + ROUND_END * pen)


def _beside(pulses: Sequence[Pulse], end: float, middle: float, px_per_mm_x: float) -> list[Pulse]:
    """Return the pulses that stand at one end of the rows, one below the other."""
    near = [
        pulse
        for pulse in pulses
        if abs((pulse.left_px + pulse.right_px) / 2 - end) < PULSE_REACH_MM * px_per_mm_x
        and (pulse.left_px < middle) == (end < middle)
    ]
    if not near:
        return []
    x = np.array([pulse.left_px for pulse in near])
    aligned = np.abs(x[:, None] - x[None]) < SAME_PLACE_MM * px_per_mm_x
    group = aligned[int(aligned.sum(axis=1).argmax())]
    return [pulse for pulse, member in zip(near, group, strict=True) if member]


def _begin_after(y: Float64[np.ndarray, " w"], fall: float, px_per_mm_x: float) -> float:
    """Return the first column of the recording after a pulse that ends at `fall`."""
    start = int(np.ceil(fall + PULSE_RIM_MM * px_per_mm_x))
    inked = np.isfinite(y[start : start + round(GAP_SEARCH_MM * px_per_mm_x)])
    blank = np.flatnonzero(~inked)
    if len(blank):
        # the longest blank stretch near the pulse
        groups = np.split(blank, np.flatnonzero(np.diff(blank) > 1) + 1)
        longest = max(groups, key=len)
        after = start + int(longest[-1]) + 1
        if len(longest) >= MIN_GAP_MM * px_per_mm_x and after < len(y):
            rest = np.flatnonzero(np.isfinite(y[after:]))
            if len(rest):
                return float(after + rest[0])
    return fall + LEAD_OUT_MM * px_per_mm_x


def _agreed(places: Float64[np.ndarray, " n"], px_per_mm_x: float) -> float:
    """Return the middle of the largest group of places that agree."""
    near = np.abs(places[:, None] - places[None]) < SAME_PLACE_MM * px_per_mm_x
    best = near[int(near.sum(axis=1).argmax())]
    return float(np.median(places[best]))
