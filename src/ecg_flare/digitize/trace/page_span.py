"""Where the recording begins and ends on the paper: the rows without their calibration pulses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64

from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measure.pulse_columns import PulseColumn, PulsePlaces, pulse_places
from ecg_flare.digitize.trace.pen import pen_width_px
from ecg_flare.digitize.trace.rows import RowTrace

LEAD_OUT_MM: Final = 0.9  # of base line between a pulse and the recording where no gap is left between them
GAP_SEARCH_MM: Final = 5.0
MIN_GAP_MM: Final = 0.8
ROUND_END: Final = np.pi / 8  # of the pen's width: the area of a half disc over its height
LEVEL_COLUMNS: Final = 5
SAME_PLACE_MM: Final = 2.5
PULSE_RIM_MM: Final = 0.3
PULSE_REACH_MM: Final = 25.0  # from the end of the rows to the pulse


@dataclass(frozen=True)
class PageSpan:
    """The stretch of x, in pixels, that holds the recording; the same for every row.

    `gaps` are the stretches within it where pulses stand between two columns: nothing is recorded there. `touched` are
    those ends of columns, all numbered from left to right, where a pulse touches the line: they are known to a
    millimetre alone.
    """

    left_px: float
    right_px: float
    pulse: Literal["left", "right", "both", "none"]
    gaps: tuple[tuple[float, float], ...] = ()
    touched: frozenset[int] = frozenset()

    @property
    def columns_px(self) -> tuple[tuple[float, float], ...]:
        """The stretches that hold the recording, from left to right: one, if no pulses stand between columns."""
        edges = [self.left_px, *(edge for gap in self.gaps for edge in gap), self.right_px]
        return tuple(zip(edges[::2], edges[1::2], strict=True))

    def recorded(self, x_px: Float64[np.ndarray, " k"]) -> Bool[np.ndarray, " k"]:
        """Return which places lie in a column of the recording."""
        inside: Bool[np.ndarray, " k"] = np.any(
            [(x_px >= left) & (x_px <= right) for left, right in self.columns_px], axis=0
        )
        return inside


def find_span(
    rows: Sequence[RowTrace],
    pulses: Sequence[Pulse],
    ink: Float32[np.ndarray, "h w"],
    px_per_mm_x: float,
) -> PageSpan:
    """Return where the recording begins and ends: what most rows say, their pulses cut off.

    `ink` is the traces' ink, which says to a fraction of a pixel where a line begins. A millisecond of a QRS is 0.1 mV.
    """
    inked = (float(np.median([row.first for row in rows])), float(np.median([row.last for row in rows])))
    places = pulse_places(pulses, inked, px_per_mm_x)
    rows = _rows_with(places.inner, rows)
    first = np.array([row.first for row in rows], float)
    last = np.array([row.last for row in rows], float)
    left, right = float(np.median(first)), float(np.median(last))
    outer = _outer_pulses(pulses, places)
    left_pulses = _beside(outer, left, (left + right) / 2, px_per_mm_x)
    right_pulses = _beside(outer, right, (left + right) / 2, px_per_mm_x)
    at_left, at_right = bool(left_pulses), bool(right_pulses)
    if at_left:
        fall = float(np.median([pulse.right_px for pulse in left_pulses]))
        first = np.array([_begin_after(row.y, fall, px_per_mm_x) for row in rows])
    if at_right:
        rise = float(np.median([pulse.left_px for pulse in right_pulses]))
        last = np.array([_end_before(row.y, rise, px_per_mm_x) for row in rows])
    side: Literal["left", "right", "both", "none"] = (
        "both" if at_left and at_right else "left" if at_left else "right" if at_right else "none"
    )
    ends = _LineEnds(rows, ink, px_per_mm_x, pen_width_px([row.bottom - row.top for row in rows]))
    touched = {0} if at_left and _touches(first, fall + LEAD_OUT_MM * px_per_mm_x) else set()
    touched |= {2 * len(places.inner) + 1} if at_right and _touches(last, rise - LEAD_OUT_MM * px_per_mm_x) else set()
    gaps = []
    for number, column in enumerate(places.inner):
        gap, sides = _gap(column, ends)
        gaps.append(gap)
        touched |= {2 * number + 1 + side for side, touches in enumerate(sides) if touches}
    begin = ends.begin(first)
    if gaps and 0 in touched:
        begin = fall + LEAD_OUT_MM * px_per_mm_x
    return PageSpan(begin, ends.end(last), side, tuple(gaps), frozenset(touched))


@dataclass(frozen=True, eq=False)
class _LineEnds:
    """Where the lines of the rows begin or end, to a fraction of a pixel, and as most rows say."""

    rows: Sequence[RowTrace]
    ink: Float32[np.ndarray, "h w"]
    px_per_mm_x: float
    pen: float

    def begin(self, columns: Float64[np.ndarray, " rows"]) -> float:
        begins = [_begin_px(self.ink, row.y, round(at), self.pen) for row, at in zip(self.rows, columns, strict=True)]
        return _agreed(np.array(begins), self.px_per_mm_x)

    def end(self, columns: Float64[np.ndarray, " rows"]) -> float:
        width = self.ink.shape[1]
        mirrored = [
            _begin_px(self.ink[:, ::-1], row.y[::-1], width - 1 - round(at), self.pen)
            for row, at in zip(self.rows, columns, strict=True)
        ]
        return _agreed(width - 1 - np.array(mirrored), self.px_per_mm_x)


def _gap(column: PulseColumn, ends: _LineEnds) -> tuple[tuple[float, float], tuple[bool, bool]]:
    """Return where the recording ends before a column of pulses and goes on after it; and whether they touch."""
    unit = ends.px_per_mm_x
    before = np.array([_end_before(row.y, column.left_px, unit) for row in ends.rows])
    after = np.array([_begin_after(row.y, column.right_px, unit) for row in ends.rows])
    end, begin = column.left_px - LEAD_OUT_MM * unit, column.right_px + LEAD_OUT_MM * unit
    touches = _touches(before, end), _touches(after, begin)
    return (end if touches[0] else ends.end(before), begin if touches[1] else ends.begin(after)), touches


def _touches(found: Float64[np.ndarray, " rows"], guess: float) -> bool:
    """Whether most rows have no gap to the pulse, so that where they end is a guess."""
    return bool(np.mean(np.isclose(found, guess)) > 0.5)


def _rows_with(columns: Sequence[PulseColumn], rows: Sequence[RowTrace]) -> Sequence[RowTrace]:
    """Return the rows that have pulses within them; all, where none has. A rhythm strip ends elsewhere."""
    levels = np.array([row.level_px for row in rows])
    numbers = {int(np.abs(levels - pulse.foot_px).argmin()) for column in columns for pulse in column.pulses}
    return [rows[number] for number in sorted(numbers)] or rows


def _outer_pulses(pulses: Sequence[Pulse], places: PulsePlaces) -> list[Pulse]:
    """Return the pulses that stand in no column within the rows."""
    inner = {pulse for column in places.inner for pulse in column.pulses}
    return [pulse for pulse in pulses if pulse not in inner]


def without_pulses(
    ink: Float32[np.ndarray, "h w"], pulses: Sequence[Pulse], px_per_mm_x: float
) -> Float32[np.ndarray, "h w"]:
    """Return the ink without what stands in the pulses' columns and, at the rows' ends, beyond them.

    Nothing is recorded there. A pulse is as high as the way to the next row: followed as a line, it leads one row into
    another.
    """
    inked = np.flatnonzero((ink > 0.5).any(axis=0))
    if not len(inked):
        return ink
    places = pulse_places(pulses, (float(inked[0]), float(inked[-1])), px_per_mm_x)
    columns = [column for column in (places.left, places.right, *places.inner) if column is not None]
    if not columns:
        return ink
    cleared = ink.copy()
    down, along = np.arange(ink.shape[0], dtype=float), np.arange(ink.shape[1])
    rim = PULSE_RIM_MM * px_per_mm_x
    for column in columns:
        left, right = (edge[:, None] for edge in column.edges_px(down))
        before, after = along < right + rim, along > left - rim
        if column is places.left:
            cleared[before] = 0.0
        elif column is places.right:
            cleared[after] = 0.0
        else:
            top, bottom = _heights(column, rim)
            cleared[before & after & ((down >= top) & (down <= bottom))[:, None]] = 0.0
    return cleared


def _heights(column: PulseColumn, rim: float) -> tuple[float, float]:
    """Return the y from a column's highest bar to its lowest foot: a rhythm strip below it has no pulse there."""
    bars, feet = [pulse.bar_px for pulse in column.pulses], [pulse.foot_px for pulse in column.pulses]
    return min(bars) - rim, max(feet) + rim


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


def _end_before(y: Float64[np.ndarray, " w"], rise: float, px_per_mm_x: float) -> float:
    """Return the last column of the recording before a pulse that begins at `rise`."""
    return len(y) - 1 - _begin_after(y[::-1], len(y) - 1 - rise, px_per_mm_x)


def _agreed(places: Float64[np.ndarray, " n"], px_per_mm_x: float) -> float:
    """Return the middle of the largest group of places that agree."""
    near = np.abs(places[:, None] - places[None]) < SAME_PLACE_MM * px_per_mm_x
    best = near[int(near.sum(axis=1).argmax())]
    return float(np.median(places[best]))
