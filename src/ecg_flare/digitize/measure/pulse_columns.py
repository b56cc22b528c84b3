"""Columns of calibration pulses: one before the rows, one after them, or one before each lead of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.measure.pulse import Pulse

COLUMN_MM: Final = 2.5
"""The pulses of a column stand one below the other, give or take curved paper."""

MIN_ROWS: Final = 2
"""A single pulse is no column."""

END_MM: Final = 25.0
"""A column so near to the end of the ink stands at the end of the rows: no lead is as short."""


@dataclass(frozen=True)
class PulseColumn:
    """Pulses that stand one below the other, from the top down."""

    pulses: tuple[Pulse, ...]

    @property
    def left_px(self) -> float:
        """The usual x of the first strokes."""
        return float(np.median([pulse.left_px for pulse in self.pulses]))

    @property
    def right_px(self) -> float:
        """The usual x of the last strokes."""
        return float(np.median([pulse.right_px for pulse in self.pulses]))

    def edges_px(self, y_px: Float64[np.ndarray, " k"]) -> tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
        """Return the x of the first and the last strokes at these heights, as the column leans."""
        feet = [pulse.foot_px for pulse in self.pulses]
        left = np.interp(y_px, feet, [pulse.left_px for pulse in self.pulses])
        return left, np.interp(y_px, feet, [pulse.right_px for pulse in self.pulses])


@dataclass(frozen=True)
class PulsePlaces:
    """The columns of a page: at the left end of the rows, at the right end, and within them, from left to right."""

    left: PulseColumn | None
    right: PulseColumn | None
    inner: tuple[PulseColumn, ...]


def pulse_columns(pulses: Sequence[Pulse], px_per_mm: float) -> tuple[PulseColumn, ...]:
    """Return the columns that pulses stand in, from left to right; single pulses are left out."""
    groups: list[list[Pulse]] = []
    for pulse in sorted(pulses, key=lambda pulse: pulse.left_px):
        if groups and pulse.left_px - np.median([other.left_px for other in groups[-1]]) <= COLUMN_MM * px_per_mm:
            groups[-1].append(pulse)
        else:
            groups.append([pulse])
    return tuple(
        PulseColumn(tuple(sorted(group, key=lambda pulse: pulse.foot_px))) for group in groups if len(group) >= MIN_ROWS
    )


def pulse_places(pulses: Sequence[Pulse], ends_px: tuple[float, float], px_per_mm: float) -> PulsePlaces:
    """Tell the columns at the ends of the rows from those within; `ends_px` is where the traces' ink begins and ends.

    Nothing is recorded before the first column, where it stands in the left half.
    """
    columns = pulse_columns(pulses, px_per_mm)
    middle = sum(ends_px) / 2
    left = columns[0] if columns and columns[0].left_px < middle else None
    rest = columns if left is None else columns[1:]
    at_end = rest and rest[-1].left_px >= middle
    alone = len(columns) == 1
    if at_end and (alone or rest[-1].right_px > ends_px[1] - END_MM * px_per_mm):
        return PulsePlaces(left, rest[-1], rest[:-1])
    return PulsePlaces(left, None, rest)
