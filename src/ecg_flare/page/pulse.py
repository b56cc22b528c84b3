"""Calibration pulses: 1 mV for 0.2 s, at one side of the rows or before each lead.

Where limb and chest leads have different gains, the pulse of a row of both goes down a step: 0.1 s at the gain of the
row's first lead, 0.1 s at the other gain.
"""

from itertools import groupby, pairwise
from typing import Final

from ecg_flare.page.layout import Layout
from ecg_flare.page.placed import PlacedSegment, PointsMm
from ecg_flare.page.style import PageStyle

PULSE_S: Final = 0.2
PULSE_MV: Final = 1.0

_LEAD_MM: Final = 1.0
"""Length of the level line before and after the pulse."""


def pulse_room_mm(style: PageStyle, layout: Layout) -> float:
    """Width that the pulses take of the row with the most of them, with the gaps between pulses and traces."""
    if style.pulse == "none":
        return 0.0
    one_mm = _width_mm(style) + style.pulse_gap_mm
    if style.pulse != "columns":
        return one_mm
    most = max(map(len, layout.rows))
    return most * one_mm + (most - 1) * style.pulse_gap_mm


def before_lead_mm(style: PageStyle, index: int) -> tuple[float, float]:
    """Room before the lead that is number `index` of its row: up to the column's border, and from there to the lead.

    It is for the pulses of "columns". Between two columns the border is in the middle of the gap.
    """
    if style.pulse != "columns":
        return 0.0, 0.0
    half_gap_mm = 0.0 if index == 0 else style.pulse_gap_mm / 2
    return half_gap_mm, half_gap_mm + _width_mm(style) + style.pulse_gap_mm


def draw_pulses(
    style: PageStyle, segments: tuple[PlacedSegment, ...], left_mm: float, right_mm: float
) -> tuple[PointsMm, ...]:
    """Polylines of all pulses, row by row.

    `left_mm` is the left end of what the rows hold, pulses included, `right_mm` the right end of the longest trace.
    """
    if style.pulse == "none":
        return ()
    if style.pulse == "columns":
        step_mm = _width_mm(style) + style.pulse_gap_mm
        return tuple(_pulse(style, placed.x_mm - step_mm, (placed,)) for placed in segments)
    pulse_left_mm = left_mm if style.pulse == "left" else right_mm + style.pulse_gap_mm
    rows = (tuple(row) for _, row in groupby(segments, key=lambda placed: placed.row))
    return tuple(_pulse(style, pulse_left_mm, row) for row in rows)


def _width_mm(style: PageStyle) -> float:
    return PULSE_S * style.speed_mm_per_s + 2 * _LEAD_MM


def _pulse(style: PageStyle, left_mm: float, shown: tuple[PlacedSegment, ...]) -> PointsMm:
    baseline_mm = shown[0].baseline_mm
    gains = tuple(dict.fromkeys(style.gain_of(placed.segment.lead) for placed in shown))
    if style.pulse_shape == "plain":
        gains = gains[:1]
    rise_mm = left_mm + _LEAD_MM
    fall_mm = rise_mm + PULSE_S * style.speed_mm_per_s
    edges_mm = [rise_mm + part * (fall_mm - rise_mm) / len(gains) for part in range(len(gains))] + [fall_mm]
    steps = [
        (x_mm, baseline_mm - PULSE_MV * gain)
        for gain, ends_mm in zip(gains, pairwise(edges_mm), strict=True)
        for x_mm in ends_mm
    ]
    return (
        (left_mm, baseline_mm),
        (rise_mm, baseline_mm),
        *steps,
        (fall_mm, baseline_mm),
        (fall_mm + _LEAD_MM, baseline_mm),
    )
