"""Where everything stands on the paper, in millimetres from its top left corner: rows, segments, pulses, labels."""

import math
from dataclasses import dataclass, replace
from typing import Final

from ecg_flare.errors import LayoutError
from ecg_flare.page.heading import Heading
from ecg_flare.page.layout import Layout, Segment, load_layout
from ecg_flare.page.lettering import Text
from ecg_flare.page.style import PageStyle

PULSE_S: Final = 0.2
PULSE_MV: Final = 1.0

_SIDE_MM: Final = 4.0
_EDGE_MM: Final = 5.0
_PULSE_LEAD_MM: Final = 1.0
_PULSE_GAP_MM: Final = 2.0
_LINE_SPACING: Final = 1.35
_TIME_STEPS: Final = 8
_SEPARATOR_MM: Final = 0.3


@dataclass(frozen=True)
class PlacedSegment:
    """A segment and where it is printed: its left end, its row and the height of 0 mV."""

    segment: Segment
    row: int
    x_mm: float
    baseline_mm: float


@dataclass(frozen=True)
class Rectangle:
    """An upright rectangle of ink."""

    left_mm: float
    top_mm: float
    right_mm: float
    bottom_mm: float


@dataclass(frozen=True)
class Arrangement:
    """Everything that is printed but the grid; `layout` is the name of the layout, and pulses are polylines."""

    layout: str
    segments: tuple[PlacedSegment, ...]
    pulses: tuple[tuple[tuple[float, float], ...], ...]
    texts: tuple[Text, ...]
    separators: tuple[Rectangle, ...]


def arrange(style: PageStyle, heading: Heading) -> Arrangement:
    """Lay a page out.

    All times of the layout are multiplied by the largest multiple of 1/8, at most 1, with which the longest row and
    its pulse fit the paper: at 50 mm/s a 10 s row on A4 becomes 5 s, and 2.5 s columns 1.25 s, still one after the
    other. (With the papers and speeds that PageStyle allows, it is at least 1/8 for rows of up to 10 s.)

    Raises LayoutError for a row that is too long for the paper all the same.
    """
    layout = _with_style(load_layout(style.layout), style)
    pulse_mm = _pulse_mm(style)
    factor = _time_factor(layout, style)
    traces_mm = layout.duration_s * factor * style.speed_mm_per_s
    left_mm = (style.paper_mm[0] - traces_mm - pulse_mm) / 2 + style.shift_x_mm
    traces_left_mm = left_mm + (pulse_mm if style.pulse == "left" else 0.0)
    baselines_mm, spacing_mm = _baselines(style, len(layout.rows))

    segments = _place(layout, factor, style.speed_mm_per_s, traces_left_mm, baselines_mm)
    pulse_left_mm = left_mm if style.pulse == "left" else traces_left_mm + traces_mm + _PULSE_GAP_MM
    pulses = tuple(_pulse(style, pulse_left_mm, baseline) for baseline in baselines_mm) if pulse_mm else ()
    return Arrangement(
        layout.name,
        segments,
        pulses,
        (*_labels(style, segments, spacing_mm), *_heading_texts(style, heading)),
        _separators(style, segments, traces_left_mm, spacing_mm),
    )


def check_room(style: PageStyle) -> None:
    """Raise LayoutError, as `arrange` does, where the rows of the style's layout are too long for its paper."""
    _time_factor(load_layout(style.layout), style)


def _with_style(layout: Layout, style: PageStyle) -> Layout:
    leads = dict(zip(layout.rhythm_rows, style.rhythm_leads, strict=False))
    rows = []
    for index, row in enumerate(layout.rows):
        if index in leads:
            row = tuple(replace(segment, lead=leads[index], inverted=False) for segment in row)
        if style.columns == "simultaneous":
            row = tuple(replace(segment, start_s=0.0) for segment in row)
        rows.append(row)
    return replace(layout, rows=tuple(rows))


def _pulse_mm(style: PageStyle) -> float:
    return 0.0 if style.pulse == "none" else PULSE_S * style.speed_mm_per_s + 2 * _PULSE_LEAD_MM + _PULSE_GAP_MM


def _time_factor(layout: Layout, style: PageStyle) -> float:
    room_mm = style.paper_mm[0] - 2 * _SIDE_MM - _pulse_mm(style)
    fits = room_mm / (layout.duration_s * style.speed_mm_per_s)
    steps = min(_TIME_STEPS, math.floor(_TIME_STEPS * fits + 1e-9))
    if steps < 1:
        raise LayoutError(
            f"Layout {layout.name}: a row of {layout.duration_s:g} s at {style.speed_mm_per_s:g} mm/s is more than "
            f"{_TIME_STEPS} times as long as paper {style.paper} has room for ({room_mm:.0f} mm)."
        )
    return steps / _TIME_STEPS


def _baselines(style: PageStyle, n_rows: int) -> tuple[tuple[float, ...], float]:
    line_mm = _LINE_SPACING * style.text.text_mm
    top_mm = _EDGE_MM + (4 * line_mm if style.text.header else 0.0)
    bottom_mm = style.paper_mm[1] - _EDGE_MM - (line_mm if style.text.footer else 0.0)
    spacing_mm = (bottom_mm - top_mm) / n_rows
    # A little under the middle of the row: QRS complexes reach higher above 0 mV than below it.
    return tuple(top_mm + (row + 0.55) * spacing_mm + style.shift_y_mm for row in range(n_rows)), spacing_mm


def _place(
    layout: Layout, factor: float, speed_mm_per_s: float, left_mm: float, baselines_mm: tuple[float, ...]
) -> tuple[PlacedSegment, ...]:
    placed = []
    for row, (segments, baseline_mm) in enumerate(zip(layout.rows, baselines_mm, strict=True)):
        x_mm = left_mm
        for segment in segments:
            shorter = replace(segment, start_s=segment.start_s * factor, duration_s=segment.duration_s * factor)
            placed.append(PlacedSegment(shorter, row, x_mm, baseline_mm))
            x_mm += shorter.duration_s * speed_mm_per_s
    return tuple(placed)


def _pulse(style: PageStyle, left_mm: float, baseline_mm: float) -> tuple[tuple[float, float], ...]:
    rise_mm = left_mm + _PULSE_LEAD_MM
    fall_mm = rise_mm + PULSE_S * style.speed_mm_per_s
    top_mm = baseline_mm - PULSE_MV * style.gain_mm_per_mv
    return (
        (left_mm, baseline_mm),
        (rise_mm, baseline_mm),
        (rise_mm, top_mm),
        (fall_mm, top_mm),
        (fall_mm, baseline_mm),
        (fall_mm + _PULSE_LEAD_MM, baseline_mm),
    )


def _labels(style: PageStyle, segments: tuple[PlacedSegment, ...], spacing_mm: float) -> tuple[Text, ...]:
    size_mm = style.text.label_mm
    far_mm = min(0.3 * spacing_mm, 9.0)
    offset_mm = {"above": -far_mm, "below": far_mm + 0.5 * size_mm, "beside": -1.5}[style.text.labels]
    return tuple(
        Text(
            f"-{placed.segment.lead}" if placed.segment.inverted else placed.segment.lead,
            placed.x_mm + 1.0,
            placed.baseline_mm + offset_mm,
            size_mm,
        )
        for placed in segments
    )


def _heading_texts(style: PageStyle, heading: Heading) -> tuple[Text, ...]:
    width_mm, height_mm = style.paper_mm
    size_mm = style.text.text_mm
    texts: list[Text] = []
    if style.text.header:
        columns = zip((heading.patient, heading.measured, heading.statements), (0.03, 0.37, 0.66), strict=True)
        for lines, part in columns:
            texts += [
                Text(line, part * width_mm, _EDGE_MM + (1 + index) * _LINE_SPACING * size_mm, size_mm)
                for index, line in enumerate(lines[:4])
            ]
    if style.text.footer:
        y_mm = height_mm - _EDGE_MM
        places = (0.03, 0.2, 0.4, 0.97)
        texts += [
            Text(field, part * width_mm, y_mm, size_mm, "right" if part > 0.9 else "left")
            for field, part in zip(heading.footer, places, strict=True)
        ]
    return tuple(texts)


def _separators(
    style: PageStyle, segments: tuple[PlacedSegment, ...], traces_left_mm: float, spacing_mm: float
) -> tuple[Rectangle, ...]:
    dashes_mm: tuple[tuple[float, float], ...] = {
        "none": (),
        "ticks": ((-6.5, -3.0), (2.0, 5.5)),
        "line": ((-5.0, 5.0),),
        "dashes": tuple((start, start + 0.8) for start in _steps(-0.5 * spacing_mm, 0.5 * spacing_mm, 1.6)),
    }[style.text.separator]
    half_mm = _SEPARATOR_MM / 2
    return tuple(
        Rectangle(placed.x_mm - half_mm, placed.baseline_mm + top, placed.x_mm + half_mm, placed.baseline_mm + bottom)
        for placed in segments
        if placed.x_mm > traces_left_mm
        for top, bottom in dashes_mm
    )


def _steps(start: float, stop: float, step: float) -> list[float]:
    return [start + index * step for index in range(int((stop - start) / step))]
