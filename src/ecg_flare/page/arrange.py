"""Where everything stands on the paper, in millimetres from its top left corner: rows, segments, pulses, labels."""

import math
from dataclasses import dataclass, replace
from typing import Final

from ecg_flare.errors import LayoutError
from ecg_flare.page.heading import Heading
from ecg_flare.page.layout import Layout, Segment, load_layout
from ecg_flare.page.lettering import Text
from ecg_flare.page.placed import PlacedSegment, PointsMm, Rectangle
from ecg_flare.page.pulse import before_lead_mm, draw_pulses, pulse_room_mm
from ecg_flare.page.separator import draw_separators
from ecg_flare.page.style import PageStyle

_SIDE_MM: Final = 4.0
_EDGE_MM: Final = 5.0
_LINE_SPACING: Final = 1.35
_TIME_STEPS: Final = 8
_BOX_GAP_MM: Final = 2.0
_BOX_SIDE_MM: Final = 1.5
_ABOVE_ZERO: Final = 0.55
"""Part of a row above 0 mV: QRS complexes reach higher above it than below."""


@dataclass(frozen=True)
class Arrangement:
    """Everything that is printed but the grid; `layout` is the name of the layout, and pulses are polylines.

    `boxes` are the frames of the grid, one a row; () where the grid covers the page.
    """

    layout: str
    segments: tuple[PlacedSegment, ...]
    pulses: tuple[PointsMm, ...]
    labels: tuple[Text, ...]
    texts: tuple[Text, ...]
    separators: tuple[Rectangle, ...]
    boxes: tuple[Rectangle, ...]


def arrange(style: PageStyle, heading: Heading) -> Arrangement:
    """Lay a page out.

    All times of the layout are multiplied by the largest multiple of 1/8, at most 1, with which the longest row and
    its pulse fit the paper: at 50 mm/s a 10 s row on A4 becomes 5 s, and 2.5 s columns 1.25 s, still one after the
    other. (With the papers and speeds that PageStyle allows, it is at least 1/8 for rows of up to 10 s.)

    Raises LayoutError for a row that is too long for the paper all the same.
    """
    layout = _with_style(load_layout(style.layout), style)
    pulses_mm = pulse_room_mm(style, layout)
    factor = _time_factor(layout, style)
    traces_mm = layout.duration_s * factor * style.speed_mm_per_s
    left_mm = (style.paper_mm[0] - traces_mm - pulses_mm) / 2 + style.shift_x_mm
    traces_left_mm = left_mm + (pulses_mm if style.pulse == "left" else 0.0)
    baselines_mm, spacing_mm = _baselines(style, len(layout.rows))

    segments = _place(layout, factor, style, traces_left_mm, baselines_mm)
    across_mm = (left_mm, left_mm + traces_mm + pulses_mm)
    return Arrangement(
        layout=layout.name,
        segments=segments,
        pulses=draw_pulses(style, segments, left_mm, traces_left_mm + traces_mm),
        labels=_labels(style, segments, spacing_mm),
        texts=_heading_texts(style, heading),
        separators=draw_separators(style, segments, spacing_mm),
        boxes=_boxes(across_mm, baselines_mm, spacing_mm) if style.grid.boxes else (),
    )


def check_room(style: PageStyle) -> None:
    """Raise LayoutError, as `arrange` does, where the rows of the style's layout are too long for its paper."""
    _time_factor(load_layout(style.layout), style)


def _with_style(layout: Layout, style: PageStyle) -> Layout:
    leads = dict(zip(layout.rhythm_rows, style.rhythm_leads, strict=False))
    rows: list[tuple[Segment, ...]] = []
    for index, row in enumerate(layout.rows):
        if index in leads:
            row = tuple(replace(segment, lead=leads[index], inverted=False) for segment in row)
        if style.columns == "simultaneous":
            row = tuple(replace(segment, start_s=0.0) for segment in row)
        rows.append(row)
    return replace(layout, rows=tuple(rows))


def _time_factor(layout: Layout, style: PageStyle) -> float:
    room_mm = style.paper_mm[0] - 2 * _SIDE_MM - pulse_room_mm(style, layout)
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
    return tuple(top_mm + (row + _ABOVE_ZERO) * spacing_mm + style.shift_y_mm for row in range(n_rows)), spacing_mm


def _boxes(across_mm: tuple[float, float], baselines_mm: tuple[float, ...], spacing_mm: float) -> tuple[Rectangle, ...]:
    height_mm = max(math.floor(spacing_mm - _BOX_GAP_MM), 1)  # whole small squares
    tops_mm = (baseline_mm - _ABOVE_ZERO * height_mm for baseline_mm in baselines_mm)
    left_mm, right_mm = across_mm
    return tuple(Rectangle(left_mm - _BOX_SIDE_MM, top, right_mm + _BOX_SIDE_MM, top + height_mm) for top in tops_mm)


def _place(
    layout: Layout, factor: float, style: PageStyle, left_mm: float, baselines_mm: tuple[float, ...]
) -> tuple[PlacedSegment, ...]:
    placed = []
    for row, (segments, baseline_mm) in enumerate(zip(layout.rows, baselines_mm, strict=True)):
        x_mm = left_mm
        for index, segment in enumerate(segments):
            shorter = replace(segment, start_s=segment.start_s * factor, duration_s=segment.duration_s * factor)
            to_border_mm, to_lead_mm = before_lead_mm(style, index)
            border_mm = x_mm + to_border_mm
            x_mm = border_mm + to_lead_mm
            placed.append(PlacedSegment(shorter, row, x_mm, baseline_mm, border_mm))
            x_mm += shorter.duration_s * style.speed_mm_per_s
    return tuple(placed)


def _labels(style: PageStyle, segments: tuple[PlacedSegment, ...], spacing_mm: float) -> tuple[Text, ...]:
    if style.text.labels == "none":
        return ()
    size_mm = style.text.label_mm
    far_mm = min(0.3 * spacing_mm, 9.0)
    offset_mm = {"above": -far_mm, "below": far_mm + 0.5 * size_mm, "beside": -1.5}[style.text.labels]
    return tuple(
        Text(
            f"-{placed.segment.lead}" if placed.segment.inverted else placed.segment.lead,
            placed.x_mm + 1.0,
            placed.baseline_mm + offset_mm,
            size_mm,
            spacing_mm=style.text.label_spacing_mm,
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
