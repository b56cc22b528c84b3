"""The page with what was read drawn over it, for the eye to check.

The page is faded, so that a line read beside the ink shows as two lines, not one. Neighbouring leads have other
colours, each lead's name stands where its stretch begins, and the measured grid lies over the page in red, a line every
5 mm: where the measure is wrong, it leaves the paper's own grid.
"""

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8
from PIL import Image, ImageDraw, ImageFont

from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.rectify.light import grid_darkness
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.stretches import unbroken

SHORTEST_PX: Final = 1500
LONGEST_PX: Final = 2600
"""Overlays are at least and at most this long: names must be legible, files small."""

_Colour = tuple[int, int, int]
_LEAD_COLOURS: Final[tuple[_Colour, _Colour]] = ((0, 87, 184), (0, 135, 104))
_RHYTHM_COLOUR: Final[_Colour] = (131, 56, 172)
_PRINT_COLOUR: Final[_Colour] = (190, 110, 0)
_GRID_COLOUR: Final[_Colour] = (200, 60, 60)
_GRID_STRENGTH: Final = 0.32
_BAR: Final[_Colour] = (28, 36, 48)
_FADE: Final = 0.55
_SUBPIXEL_BITS: Final = 4


def draw_overlay(result: Digitization) -> UInt8[np.ndarray, "h w 3"]:
    """Draw what was read over the upright page; RGB, with a line of figures above."""
    scale = _scale(result)
    page = result.page.image
    size = (round(page.shape[1] * scale), round(page.shape[0] * scale))
    resized = cv2.resize(page, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    canvas = (255 - (255 - resized.astype(np.float32)) * (1 - _FADE)).astype(np.uint8)
    _blend_grid(canvas, result, scale)
    thickness = max(2, round(size[0] / 1100))
    spans = [lead.span for lead in result.leads]
    for index, span in enumerate(spans):
        line = (span_polyline(result, span) + 0.5) * scale - 0.5
        _draw_line(canvas, line, span_colour(span, index), thickness)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    font = _font(max(16, round(size[0] / 75)))
    for index, span in enumerate(spans):
        _draw_name(draw, result, span, span_colour(span, index), scale, font)
    _draw_print(draw, result, scale)
    _draw_ticks(draw, result, scale, _font(max(13, round(size[0] / 110))))
    return _with_caption(picture, result)


def _blend_grid(canvas: UInt8[np.ndarray, "h w 3"], result: Digitization, scale: float) -> None:
    """Lay the measured grid over the page, a line every 5 mm, where the paper's lines say that it begins."""
    signal = grid_darkness(result.page.image)
    pitches = (5 * result.calibration.px_per_mm.x, 5 * result.calibration.px_per_mm.y)
    for axis, pitch in enumerate(pitches):
        first = grid_phase(signal.mean(axis=axis), pitch)
        count = int((signal.shape[1 - axis] - first) / pitch) + 1
        places = np.round((first + pitch * np.arange(count) + 0.5) * scale - 0.5).astype(int)
        places = places[(places >= 0) & (places < canvas.shape[1 - axis])]
        lines = canvas[:, places] if axis == 0 else canvas[places]
        blended = (lines * (1 - _GRID_STRENGTH) + np.array(_GRID_COLOUR) * _GRID_STRENGTH).astype(np.uint8)
        if axis == 0:
            canvas[:, places] = blended
        else:
            canvas[places] = blended


def grid_phase(profile: Float32[np.ndarray, " n"], pitch_px: float) -> float:
    """Where the first line of a grid of that pitch lies: the phase of its frequency in the page's darkness."""
    fast = profile - cv2.blur(profile.reshape(-1, 1), (1, max(3, round(pitch_px)) | 1)).ravel()
    turn = np.exp(-2j * np.pi * np.arange(len(fast)) / pitch_px)
    return float(-np.angle((fast * turn).sum()) / (2 * np.pi) * pitch_px % pitch_px)


def span_polyline(result: Digitization, span: LeadSpan) -> Float64[np.ndarray, "k 2"]:
    """The stretch of a row's polyline that a lead takes, in the page's pixels; NaN where ink is lost."""
    line = result.polylines[span.row]
    stretch: Float64[np.ndarray, "k 2"] = line[span.holds(line[:, 0])]
    return stretch


def span_colour(span: LeadSpan, index: int) -> _Colour:
    """A lead's colour: neighbours differ, rhythm strips have their own."""
    return _RHYTHM_COLOUR if span.is_rhythm else _LEAD_COLOURS[index % 2]


def _scale(result: Digitization) -> float:
    longest = max(result.page.image.shape[:2])
    return float(min(max(1.0, SHORTEST_PX / longest), LONGEST_PX / longest))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _draw_line(
    canvas: UInt8[np.ndarray, "h w 3"], line: Float64[np.ndarray, "k 2"], colour: _Colour, thickness: int
) -> None:
    known = np.isfinite(line).all(axis=1)
    for first, last in unbroken(known):
        points = np.round(line[first:last] * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(canvas, [points], False, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_name(
    draw: ImageDraw.ImageDraw,
    result: Digitization,
    span: LeadSpan,
    colour: _Colour,
    scale: float,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """A lead's name on a tag above its stretch, and a mark where the stretch begins."""
    line = span_polyline(result, span)[:, 1]
    row = result.polylines[span.row][:, 1]
    level = float(np.nanmedian(line if np.isfinite(line).any() else row)) if np.isfinite(row).any() else 0.0
    text = span.title
    box = draw.textbbox((0, 0), text, font=font)
    pad = 4
    height = box[3] - box[1] + 2 * pad
    millimetre = result.calibration.px_per_mm.y
    points = span_polyline(result, span)
    beside = points[points[:, 0] < span.left_px + (box[2] + 3 * pad) / scale, 1]
    highest = min(float(np.nanmin(beside)) if np.isfinite(beside).any() else level, level - 4.0 * millimetre)
    left, top = span.left_px * scale, max(0.0, (highest - 1.5 * millimetre) * scale - height)
    draw.line([(left, top), (left, (level + 3.0 * millimetre) * scale)], fill=colour, width=2)
    draw.rounded_rectangle([left, top, left + box[2] + 2 * pad, top + height], 4, fill=colour)
    draw.text((left + pad, top + pad - box[1]), text, fill="white", font=font)


def _draw_print(draw: ImageDraw.ImageDraw, result: Digitization, scale: float) -> None:
    """Frame the print that said a speed or a gain."""
    for statement in result.calibration.printed.statements:
        left, top, right, bottom = (edge * scale for edge in statement.word.box_px)
        draw.rectangle([left - 4, top - 4, right + 4, bottom + 4], outline=_PRINT_COLOUR, width=2)


def _draw_ticks(
    draw: ImageDraw.ImageDraw,
    result: Digitization,
    scale: float,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """The measured millimetres along the lower and the left edge: a tick every 5 mm, longer every 25."""
    calibration = result.calibration
    width, height = (round(side * scale) for side in result.page.image.shape[1::-1])
    step_x, step_y = 5 * calibration.px_per_mm.x * scale, 5 * calibration.px_per_mm.y * scale
    for count in range(int(width / step_x) + 1):
        length = 16 if count % 5 == 0 else 8
        draw.line([(count * step_x, height), (count * step_x, height - length)], fill=_GRID_COLOUR, width=2)
    for count in range(int(height / step_y) + 1):
        length = 16 if count % 5 == 0 else 8
        draw.line([(0, height - count * step_y), (length, height - count * step_y)], fill=_GRID_COLOUR, width=2)
    across, up = 5 * step_x, 2 * step_y
    corner = (step_x, height - step_y)
    draw.line([corner, (corner[0] + across, corner[1])], fill=_GRID_COLOUR, width=3)
    draw.line([corner, (corner[0], corner[1] - up)], fill=_GRID_COLOUR, width=3)
    seconds = 25 / calibration.speed_mm_per_s
    label = f"25 mm = {seconds:g} s,  10 mm = {10 / calibration.gain_mm_per_mv:g} mV"
    if calibration.has_two_gains:
        label += f" (V1-V6 {10 / calibration.chest_gain_mm_per_mv:g} mV)"
    box = draw.textbbox((0, 0), label, font=font)
    place = (corner[0] + 6, corner[1] - (box[3] - box[1]) - 12)
    draw.rectangle([place[0] - 3, place[1], place[0] + box[2] + 3, place[1] + box[3] + 4], fill="white")
    draw.text(place, label, fill=_GRID_COLOUR, font=font)


def _with_caption(picture: Image.Image, result: Digitization) -> UInt8[np.ndarray, "h w 3"]:
    """A dark line above the page: layout, speed, gain, scale, confidence."""
    size = max(18, round(picture.width / 70))
    font = _font(size)
    calibration = result.calibration
    left = (
        f"{result.layout}    {calibration.speed_mm_per_s:g} mm/s ({calibration.speed_source})    "
        f"{calibration.gain_text}    "
        f"{calibration.px_per_mm.x:.2f} x {calibration.px_per_mm.y:.2f} px/mm ({calibration.method})"
    )
    count = len(result.warnings)
    right = f"confidence {result.confidence:.0%}" + (f", {count} warning{'s' * (count > 1)}" if count else "")
    height = round(size * 2.1)
    whole = Image.new("RGB", (picture.width, picture.height + height), _BAR)
    whole.paste(picture, (0, height))
    draw = ImageDraw.Draw(whole)
    draw.text((size * 0.7, size * 0.5), left, fill="white", font=font)
    right_width = draw.textlength(right, font=font)
    draw.text((picture.width - right_width - size * 0.7, size * 0.5), right, fill="white", font=font)
    return np.asarray(whole)
