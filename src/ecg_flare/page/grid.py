"""The millimetre grid, drawn with exact coverage: lines fall between pixels where the scale has it so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ecg_flare.page.placed import Rectangle
from ecg_flare.page.style import GRID_RGB, Colour, PageStyle

_COARSE_STEP_MM: Final = 5.0
_DOT_MM: Final = 0.35


@dataclass(frozen=True)
class _Axis:
    """The grid along one axis: the pixels that it covers, where a coarse line lies, and where a frame ends."""

    start_px: int
    stop_px: int
    origin_mm: float
    px_per_mm: float
    end_mm: float | None = None

    @property
    def pixels(self) -> slice:
        return slice(self.start_px, self.stop_px)


def draw_paper(style: PageStyle, shape: tuple[int, int], boxes: Sequence[Rectangle] = ()) -> UInt8[np.ndarray, "h w 3"]:
    """Blank paper of `shape` (height, width) with its grid, which covers the page or fills each of the `boxes`."""
    image = np.empty((*shape, 3), dtype=np.uint8)
    image[:] = style.paper_rgb
    grid = style.grid
    if grid.kind == "none":
        return image
    if not grid.boxes:
        x_axis = _axis(style.paper_mm[0], grid.inset_mm, grid.phase_x_mm, style.px_per_mm[0], shape[1])
        y_axis = _axis(style.paper_mm[1], grid.inset_mm, grid.phase_y_mm, style.px_per_mm[1], shape[0])
        _draw_grid(image, style, x_axis, y_axis)
    for box in boxes:
        x_axis = _framed_axis((box.left_mm, box.right_mm), grid.coarse_mm / 2, style.px_per_mm[0], shape[1])
        y_axis = _framed_axis((box.top_mm, box.bottom_mm), grid.coarse_mm / 2, style.px_per_mm[1], shape[0])
        _draw_grid(image, style, x_axis, y_axis)
    return _turned(image, grid.askew_deg) if grid.askew_deg else image


def _turned(image: UInt8[np.ndarray, "h w 3"], degrees: float) -> UInt8[np.ndarray, "h w 3"]:
    """Return the paper with its grid turned clockwise around the middle; the edge is mirrored into what comes free."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    turned: UInt8[np.ndarray, "h w 3"] = cv2.warpAffine(
        image, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return turned


def band_coverage(length_px: int, start: float, stop: float) -> Float32[np.ndarray, " n"]:
    """Part of each of `length_px` pixels that the band from `start` to `stop` covers; pixel i spans i -+ 1/2."""
    pixels = np.arange(length_px, dtype=np.float32)
    covered = np.minimum(pixels + 0.5, stop) - np.maximum(pixels - 0.5, start)
    clipped: Float32[np.ndarray, " n"] = np.clip(covered, 0, 1).astype(np.float32)
    return clipped


def _axis(length_mm: float, inset_mm: float, phase_mm: float, px_per_mm: float, length_px: int) -> _Axis:
    squares = int((length_mm - 2 * inset_mm) / _COARSE_STEP_MM)
    if inset_mm == 0 or squares < 1:
        return _Axis(0, length_px, phase_mm, px_per_mm)
    # Whole squares within the blank border, so that its edge is a line: no phase.
    origin_mm = (length_mm - squares * _COARSE_STEP_MM) / 2
    stop_px = min(length_px, round((length_mm - origin_mm) * px_per_mm) + 1)
    return _Axis(round(origin_mm * px_per_mm), stop_px, origin_mm, px_per_mm)


def _framed_axis(span_mm: tuple[float, float], half_line_mm: float, px_per_mm: float, length_px: int) -> _Axis:
    start_mm, end_mm = span_mm
    start_px, stop_px = round((start_mm - half_line_mm) * px_per_mm), round((end_mm + half_line_mm) * px_per_mm) + 1
    return _Axis(max(start_px, 0), max(min(stop_px, length_px), 0), start_mm, px_per_mm, end_mm)


def _draw_grid(image: UInt8[np.ndarray, "h w 3"], style: PageStyle, x_axis: _Axis, y_axis: _Axis) -> None:
    grid = style.grid
    coarse_rgb, fine_rgb = GRID_RGB[grid.colour]
    fine_step_mm = _COARSE_STEP_MM / grid.squares
    region = image[y_axis.pixels, x_axis.pixels]
    shades = region.astype(np.float32)
    if grid.kind == "fine+coarse":
        x, y = (_lines(axis, fine_step_mm, grid.fine_mm) for axis in (x_axis, y_axis))
        _blend(shades, fine_rgb, grid.strength * _either(x, y))
    elif grid.kind == "dotted":
        x, y = (_lines(axis, fine_step_mm, _DOT_MM) for axis in (x_axis, y_axis))
        _blend(shades, coarse_rgb, grid.strength * np.outer(y, x))
    x, y = (
        _with_frame(_lines(axis, _COARSE_STEP_MM, grid.coarse_mm), axis, grid.coarse_mm) for axis in (x_axis, y_axis)
    )
    _blend(shades, coarse_rgb, grid.strength * _either(x, y))
    region[:] = np.rint(shades)


def _with_frame(lines: Float32[np.ndarray, " n"], axis: _Axis, width_mm: float) -> Float32[np.ndarray, " n"]:
    # The first line of the grid is the frame's near edge already; the far edge may lie anywhere in a square.
    if axis.end_mm is None:
        return lines
    end = replace(axis, origin_mm=axis.end_mm)
    far = np.abs((np.arange(axis.start_px, axis.stop_px) + 0.5) / axis.px_per_mm - axis.end_mm) < _COARSE_STEP_MM / 2
    return np.where(far, np.maximum(lines, _lines(end, _COARSE_STEP_MM, width_mm)), lines)


def _lines(axis: _Axis, step_mm: float, width_mm: float) -> Float32[np.ndarray, " n"]:
    place_mm = (np.arange(axis.start_px, axis.stop_px) + 0.5) / axis.px_per_mm - axis.origin_mm
    to_nearest_px = np.abs(place_mm - np.rint(place_mm / step_mm) * step_mm) * axis.px_per_mm
    width_px = width_mm * axis.px_per_mm
    coverage = np.clip(width_px / 2 + 0.5 - to_nearest_px, 0, min(1.0, width_px))
    lines: Float32[np.ndarray, " n"] = coverage.astype(np.float32)
    return lines


def _either(x: Float32[np.ndarray, " w"], y: Float32[np.ndarray, " h"]) -> Float32[np.ndarray, "h w"]:
    return 1 - np.outer(1 - y, 1 - x)


def _blend(shades: Float32[np.ndarray, "h w 3"], rgb: Colour, coverage: Float32[np.ndarray, "h w"]) -> None:
    for channel, value in enumerate(rgb):
        shades[..., channel] += coverage * (np.float32(value) - shades[..., channel])
