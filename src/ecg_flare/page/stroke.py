"""Pen strokes: how far each pixel lies from a polyline, and how much ink that puts on it.

Distances are exact, so that a stroke's middle lies on its polyline to a few hundredths of a pixel at any slope.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

_SIMPLIFY_PX: Final = 0.004
_SIMPLIFY_PASSES: Final = 3
_PAIRS_AT_ONCE: Final = 1 << 20


def distance_to_strokes(
    polylines: Sequence[Float64[np.ndarray, "_ 2"]], shape: tuple[int, int], reach_px: float
) -> Float32[np.ndarray, "h w"]:
    """Distance in pixels from each pixel's centre to the nearest polyline.

    Polylines are (k, 2) points (x, y); parts outside the image are allowed. `reach_px` is how far it is measured:
    pixels further away hold some larger number or infinity.
    """
    height, width = shape
    squared = np.full(height * width, np.inf, dtype=np.float32)
    starts, ends = _segments(polylines)
    for pixel, distance_squared in _pairs(starts, ends, shape, reach_px):
        np.minimum.at(squared, pixel, distance_squared)
    return np.sqrt(squared, out=squared).reshape(shape)


def stroke_coverage(distance_px: Float32[np.ndarray, "h w"], width_px: float) -> Float32[np.ndarray, "h w"]:
    """Part of each pixel that a stroke of `width_px` covers, 0 to 1, as a scanner sees it.

    The stroke is blurred by the pixel's own aperture and by bilinear sampling (a triangle two pixels wide in all). That
    triangle makes the centroid of the ink across a level stroke equal the stroke's middle exactly, at any width and
    any sub-pixel position; a bare box aperture is off by up to 0.05 pixels. Ink on the page reaches
    `stroke_reach(width_px)` pixels from the polyline.
    """
    half = width_px / 2
    coverage: Float32[np.ndarray, "h w"] = (
        _triangle_integral(half - distance_px) + _triangle_integral(half + distance_px) - 1
    )
    return coverage


def stroke_reach(width_px: float) -> float:
    """Farthest distance from its polyline at which a stroke of `width_px` still leaves ink, in pixels."""
    return width_px / 2 + 1


def _triangle_integral(distance: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    clipped = np.clip(distance, -1, 1)
    integral: Float32[np.ndarray, "h w"] = 0.5 + clipped - 0.5 * clipped * np.abs(clipped)
    return integral


def _segments(
    polylines: Sequence[Float64[np.ndarray, "_ 2"]],
) -> tuple[Float32[np.ndarray, "n 2"], Float32[np.ndarray, "n 2"]]:
    simple = [_simplified(polyline) for polyline in polylines if len(polyline) >= 2]
    if not simple:
        return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
    starts = np.concatenate([points[:-1] for points in simple])
    ends = np.concatenate([points[1:] for points in simple])
    return starts.astype(np.float32), ends.astype(np.float32)


def _simplified(points: Float64[np.ndarray, "points 2"]) -> Float64[np.ndarray, "fewer 2"]:
    # A sample every few hundredths of a millimetre is more than the page can show. Each pass drops those of every
    # second point that lie on the straight line between their neighbours; OpenCV's approxPolyDP loses corners of
    # lines that come back upon themselves.
    for _ in range(_SIMPLIFY_PASSES):
        before, middle, after = points[:-2:2], points[1:-1:2], points[2::2]
        chord = after - before
        length_squared = np.maximum((chord**2).sum(axis=1), 1e-12)
        along = np.clip(((middle - before) * chord).sum(axis=1) / length_squared, 0, 1)
        off_squared = ((middle - before - along[:, None] * chord) ** 2).sum(axis=1)
        kept = np.ones(len(points), dtype=np.bool_)
        kept[1:-1:2] = off_squared > _SIMPLIFY_PX**2
        points = points[kept]
    return points


def _pairs(
    starts: Float32[np.ndarray, "n 2"], ends: Float32[np.ndarray, "n 2"], shape: tuple[int, int], reach_px: float
) -> Iterator[tuple[np.ndarray, Float32[np.ndarray, " pairs"]]]:
    # Every segment with every pixel of its own bounding box, grown by the reach, in chunks that bound the memory.
    limit = np.array([shape[1] - 1, shape[0] - 1])
    low = np.maximum(np.ceil(np.minimum(starts, ends) - reach_px), 0).astype(np.int32)
    high = np.minimum(np.floor(np.maximum(starts, ends) + reach_px), limit).astype(np.int32)
    spans = np.maximum(high - low + 1, 0).astype(np.int64)
    counts = spans[:, 0] * spans[:, 1]
    seen = np.flatnonzero(counts)
    if seen.size == 0:
        return
    total = np.cumsum(counts[seen])
    cuts = np.searchsorted(total, np.arange(0, total[-1], _PAIRS_AT_ONCE))
    for first, last in zip(cuts, np.append(cuts[1:], seen.size), strict=True):
        chunk = seen[first:last]
        if chunk.size:
            yield _distances(starts[chunk], ends[chunk], low[chunk], spans[chunk], shape[1])


def _distances(
    starts: Float32[np.ndarray, "n 2"],
    ends: Float32[np.ndarray, "n 2"],
    low: np.ndarray,
    spans: np.ndarray,
    image_width: int,
) -> tuple[np.ndarray, Float32[np.ndarray, " pairs"]]:
    counts = spans[:, 0] * spans[:, 1]
    segment = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(segment.size) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(within.astype(np.int32), spans[:, 0].astype(np.int32)[segment])
    column += low[segment, 0]
    row += low[segment, 1]
    delta = ends - starts
    length_squared = np.maximum((delta**2).sum(axis=1), np.float32(1e-12))
    dx, dy = delta[segment, 0], delta[segment, 1]
    x = column - starts[segment, 0]
    y = row - starts[segment, 1]
    along = np.clip((x * dx + y * dy) / length_squared[segment], 0, 1, dtype=np.float32)
    distance_squared = ((x - along * dx) ** 2 + (y - along * dy) ** 2).astype(np.float32)
    return row.astype(np.int64) * image_width + column, distance_squared
