"""A recording redrawn as clean paper, in SVG: what a cardiologist holds beside the page to compare.

Rows and columns are the page's own; one unit of the drawing is a millimetre at 25 mm/s and 10 mm/mV. A pulse of 1 mV
and 0.2 s stands before each row, seconds are counted below the last. Leads whose line has gaps are named in red.
"""

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.leads.lead_reading import LeadReading
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.stretches import unbroken

SPEED_MM_PER_S: Final = 25.0
GAIN_MM_PER_MV: Final = 10.0
_MARGIN_MM: Final = 4.0
_PULSE_MM: Final = 9.0  # room for the pulse before the rows
_MAX_PX_PER_MM: Final = 6.0  # a strip of three seconds need not fill the screen
_AXIS_MM: Final = 9.0  # room for the seconds below them, and what the pulses mean
_MIN_ROW_MM: Final = 16.0
_NAME_MM: Final = 12.0  # a lead's name is about this wide, and stands above what is drawn there
_FLATNESS_MM: Final = 0.04  # points that lie this near to the line between their neighbours are left out


def waveform_svg(result: Digitization, identifier: str) -> str:
    """Draw the recording in the page's own rows as an SVG element without any reference outside.

    `identifier` keeps the grid pattern's id apart from those of other drawings on the same HTML page.
    """
    rows = _rows(result)
    if not rows:
        return '<svg class="wave" viewBox="0 0 250 30" role="img" aria-label="no lead was read"></svg>'
    width = max(_offset_s(row, row[-1].span) + row[-1].span.duration_s for row in rows) * SPEED_MM_PER_S
    width += _PULSE_MM + 2 * _MARGIN_MM
    top = _MARGIN_MM
    parts: list[str] = []
    for row in rows:
        above, below = _reach(result, row)
        top += above
        parts.append(f'<path class="pulse" d="M{_MARGIN_MM} {top:.2f}h1v{-GAIN_MM_PER_MV:g}h5v{GAIN_MM_PER_MV:g}h1"/>')
        parts.extend(_lead(result, row, lead, top) for lead in row)
        top += below
    parts.append(_seconds_axis(width, top + _MARGIN_MM))
    height = top + _AXIS_MM + _MARGIN_MM
    return (
        f'<svg class="wave" viewBox="0 0 {width:.1f} {height:.1f}" style="max-width:{_MAX_PX_PER_MM * width:.0f}px" '
        'role="img" aria-label="recording as read">'
        f"{_grid(identifier)}"
        f'<rect width="100%" height="100%" fill="url(#{identifier}-cm)"/>{"".join(parts)}</svg>'
    )


def _seconds_axis(width_mm: float, y: float) -> str:
    """A tick and a number for every second of paper, and what the pulses mean."""
    origin = _MARGIN_MM + _PULSE_MM
    count = int((width_mm - origin - _MARGIN_MM) / SPEED_MM_PER_S + 1e-6)
    ticks = "".join(f"M{origin + k * SPEED_MM_PER_S:.2f} {y:.2f}v1.5" for k in range(count + 1))
    numbers = "".join(
        f'<text class="scale" x="{origin + k * SPEED_MM_PER_S + 0.6:.2f}" y="{y + 3.2:.2f}">{k} s</text>'
        for k in range(count + 1)
    )
    legend = "pulses: 1 mV, 0.2 s"
    return (
        f'<path class="edge" d="{ticks}"/>{numbers}<text class="scale" x="{_MARGIN_MM}" y="{y + 7:.2f}">{legend}</text>'
    )


def _rows(result: Digitization) -> list[list[LeadReading]]:
    """The leads row by row, from left to right."""
    numbers = sorted({lead.span.row for lead in result.leads})
    rows = [[lead for lead in result.leads if lead.span.row == number] for number in numbers]
    return [sorted(row, key=lambda lead: lead.span.left_px) for row in rows]


def _offset_s(row: list[LeadReading], span: LeadSpan) -> float:
    """Seconds from the row's start to a lead's, as they stand on paper."""
    return float(sum(before.span.duration_s for before in row if before.span.left_px < span.left_px))


def _samples(result: Digitization, span: LeadSpan) -> Float32[np.ndarray, " n"]:
    return result.recording.lead(span.lead)[span.samples(result.recording.fs_hz)]


def _reach(result: Digitization, row: list[LeadReading]) -> tuple[float, float]:
    """Millimetres that a row needs above and below its zero."""
    values = np.concatenate([_samples(result, lead.span) for lead in row])
    known = values[np.isfinite(values)] * GAIN_MM_PER_MV
    if len(known) == 0:
        return GAIN_MM_PER_MV + 2.0, _MIN_ROW_MM / 2
    above = max(GAIN_MM_PER_MV + 2.0, float(known.max()) + 5.0)  # room for the pulse, and for the lead's name
    below = max(_MIN_ROW_MM / 2, 2.0 - float(known.min()))
    return min(above, 60.0), min(below, 60.0)


def _lead(result: Digitization, row: list[LeadReading], lead: LeadReading, zero_mm: float) -> str:
    span = lead.span
    left = _MARGIN_MM + _PULSE_MM + _offset_s(row, span) * SPEED_MM_PER_S
    samples = _samples(result, span).astype(np.float64)
    x = left + np.arange(len(samples)) / result.recording.fs_hz * SPEED_MM_PER_S
    points = np.stack([x, zero_mm - samples * GAIN_MM_PER_MV], axis=1)
    mark = f'<path class="edge" d="M{left:.2f} {zero_mm - 4:.2f}v8"/>' if lead is not row[0] else ""
    beside = points[x < left + _NAME_MM, 1]
    highest = float(np.nanmin(beside)) if np.isfinite(beside).any() else zero_mm
    kind = ' class="broken"' if lead.gaps else ""
    label = f'<text{kind} x="{left + 0.8:.2f}" y="{min(zero_mm - 5.2, highest - 1.0):.2f}">{span.title}</text>'
    return f'{mark}<path class="ecg" d="{_path(points)}"/>{label}'


def _path(points: Float64[np.ndarray, "n 2"]) -> str:
    """The line as an SVG path, broken where a sample is missing, without points that change nothing to the eye."""
    known = np.isfinite(points).all(axis=1)
    pieces = []
    for first, last in unbroken(known):
        kept = cv2.approxPolyDP(points[first:last].astype(np.float32).reshape(-1, 1, 2), _FLATNESS_MM, False)[:, 0]
        pieces.append("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in kept))
    return "".join(pieces)


def _grid(identifier: str) -> str:
    return (
        f'<defs><pattern id="{identifier}-mm" width="1" height="1" patternUnits="userSpaceOnUse">'
        '<path d="M1 0H0V1" class="mm"/></pattern>'
        f'<pattern id="{identifier}-cm" width="5" height="5" patternUnits="userSpaceOnUse">'
        f'<rect width="5" height="5" fill="url(#{identifier}-mm)"/><path d="M5 0H0V5" class="cm"/></pattern></defs>'
    )
