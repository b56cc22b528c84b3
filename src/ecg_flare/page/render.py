"""A recording printed on a page: the image and its truth from the same geometry.

    recording -> layout -> arrange (millimetres) -> traces, pulses, print (pixels) -> ink over paper and grid

Time is printed from left to right at `speed_mm_per_s`, 0 mV at the row's base line and 1 mV as much higher as
the lead's gain says.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.stretches import unbroken
from ecg_flare.page.arrange import Arrangement, arrange
from ecg_flare.page.grid import band_coverage, draw_paper
from ecg_flare.page.heading import draw_heading
from ecg_flare.page.lettering import draw_texts, rectangle
from ecg_flare.page.page import Page
from ecg_flare.page.placed import PlacedSegment, Rectangle
from ecg_flare.page.stroke import distance_to_strokes, stroke_coverage, stroke_reach
from ecg_flare.page.style import LABEL_RGB, Colour, PageStyle
from ecg_flare.page.truth import LeadTrace, PageTruth, outline, to_matrix

__all__ = ["LeadTrace", "Page", "PageTruth", "render_page"]


def render_page(recording: Recording, style: PageStyle, rng: np.random.Generator) -> Page:
    """Print a recording; `rng` invents the text of header and footer, all else follows from the style.

    The page shows the first seconds of the recording that its layout has room for. Where a recording is too short,
    lacks a lead or holds NaN nothing is drawn, and the truth has no trace there.
    """
    arrangement = arrange(style, draw_heading(style, rng))
    px_per_mm_x, px_per_mm_y = style.px_per_mm
    shape = (round(style.paper_mm[1] * px_per_mm_y), round(style.paper_mm[0] * px_per_mm_x))

    traces = tuple(trace for placed in arrangement.segments for trace in _traces(recording, placed, style))
    pulses = tuple(_to_px(np.array(pulse), style) for pulse in arrangement.pulses)
    separators = tuple(_box(separator, style) for separator in arrangement.separators)

    image = draw_paper(style, shape, arrangement.boxes)
    text_boxes = _print(image, arrangement, separators, style)
    _ink(image, [trace.polyline for trace in traces] + list(pulses), style)
    truth = PageTruth(
        height_px=shape[0],
        width_px=shape[1],
        px_per_mm_x=px_per_mm_x,
        px_per_mm_y=px_per_mm_y,
        layout=arrangement.layout,
        speed_mm_per_s=float(style.speed_mm_per_s),
        gain_mm_per_mv=float(style.gain_mm_per_mv),
        chest_gain_mm_per_mv=float(style.chest_gain),
        traces=traces,
        pulses=pulses,
        print_boxes=(*text_boxes, *separators),
        paper=outline(shape),
        homography=to_matrix(np.array([[px_per_mm_x, 0, -0.5], [0, px_per_mm_y, -0.5], [0, 0, 1]])),
    )
    return Page(image, truth)


def _traces(recording: Recording, placed: PlacedSegment, style: PageStyle) -> Iterator[LeadTrace]:
    segment = placed.segment
    if segment.lead not in recording.lead_names:
        return
    fs_hz = recording.fs_hz
    first = round(segment.start_s * fs_hz)
    last = min(round((segment.start_s + segment.duration_s) * fs_hz), recording.n_samples)
    signal_mv = recording.lead(segment.lead)[first:last].astype(np.float64)
    if segment.inverted:
        signal_mv = -signal_mv
    for start, stop in unbroken(np.isfinite(signal_mv)):
        if stop - start < 2:
            continue  # one sample alone is no line
        x_mm = placed.x_mm + np.arange(start, stop) / fs_hz * style.speed_mm_per_s
        y_mm = placed.baseline_mm - signal_mv[start:stop] * style.gain_of(segment.lead)
        yield LeadTrace(
            lead=segment.lead,
            row=placed.row,
            polyline=_to_px(np.stack([x_mm, y_mm], axis=1), style),
            start_s=(first + start) / fs_hz,
            end_s=(first + stop) / fs_hz,
            is_rhythm=segment.rhythm,
            inverted=segment.inverted,
        )


def _to_px(points_mm: Float64[np.ndarray, "points 2"], style: PageStyle) -> Float64[np.ndarray, "points 2"]:
    # The paper's corner is the corner, not the centre, of the first pixel.
    points_px: Float64[np.ndarray, "points 2"] = points_mm * np.array(style.px_per_mm) - 0.5
    return points_px


def _box(area: Rectangle, style: PageStyle) -> Float64[np.ndarray, "4 2"]:
    corners = _to_px(np.array([[area.left_mm, area.top_mm], [area.right_mm, area.bottom_mm]]), style)
    return rectangle(*corners.ravel().tolist())


def _print(
    image: UInt8[np.ndarray, "h w 3"],
    arrangement: Arrangement,
    separators: Sequence[Float64[np.ndarray, "4 2"]],
    style: PageStyle,
) -> tuple[Float64[np.ndarray, "4 2"], ...]:
    """Print texts and separators; returns the boxes of the texts."""
    coloured = style.text.label_colour != "ink"
    inked_texts = arrangement.texts if coloured else (*arrangement.labels, *arrangement.texts)
    lettering, boxes = draw_texts(inked_texts, style.text.font, style.px_per_mm, image.shape[:2])
    _lay(image, _with_separators(lettering.astype(np.float32) / 255, separators), style.ink.rgb, style.ink.density)
    if not coloured:
        return boxes
    lettering, label_boxes = draw_texts(arrangement.labels, style.text.font, style.px_per_mm, image.shape[:2])
    _lay(image, lettering.astype(np.float32) / 255, LABEL_RGB[style.text.label_colour], 1.0)
    return (*label_boxes, *boxes)


def _with_separators(
    coverage: Float32[np.ndarray, "h w"], separators: Sequence[Float64[np.ndarray, "4 2"]]
) -> Float32[np.ndarray, "h w"]:
    for box in separators:
        (left, top), (right, bottom) = box[0], box[2]
        rows = slice(max(0, int(top) - 1), max(0, int(bottom) + 3))
        columns = slice(max(0, int(left) - 1), max(0, int(right) + 3))
        region = coverage[rows, columns]
        vertical = band_coverage(region.shape[0], top - rows.start, bottom - rows.start)
        horizontal = band_coverage(region.shape[1], left - columns.start, right - columns.start)
        np.maximum(region, np.outer(vertical, horizontal), out=region)
    return coverage


def _ink(image: UInt8[np.ndarray, "h w 3"], polylines: Sequence[Float64[np.ndarray, "_ 2"]], style: PageStyle) -> None:
    px_per_mm = float(np.sqrt(np.prod(style.px_per_mm)))
    width_px = style.ink.width_mm * px_per_mm
    distance = distance_to_strokes(polylines, image.shape[:2], stroke_reach(width_px))
    _lay(image, stroke_coverage(distance, width_px), style.ink.rgb, style.ink.density)


def _lay(image: UInt8[np.ndarray, "h w 3"], coverage: Float32[np.ndarray, "h w"], rgb: Colour, density: float) -> None:
    inked = np.nonzero(coverage)
    opacity = (density * coverage[inked])[:, None]
    under = image[inked].astype(np.float32)
    image[inked] = np.rint(under + opacity * (np.array(rgb, np.float32) - under))
