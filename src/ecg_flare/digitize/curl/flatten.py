"""A page flattened by its own grid, and its print stood upright: each pixel is taken once from the picture itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ecg_flare.digitize.curl.field import FROM_FLAT, Field, measure_field
from ecg_flare.digitize.curl.print_lean import print_lean
from ecg_flare.digitize.rectify.bends import Bends
from ecg_flare.digitize.rectify.normalize import NormalizedPage
from ecg_flare.digitize.rectify.straight import CURVED
from ecg_flare.digitize.rectify.warp import paper_colour
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.displacement import Displacement
from ecg_flare.page.truth import scaling

MIN_BEND_MM: Final = 0.3
"""Paper that is bent by less stays as it is: flat scans measure up to 0.25 mm, and resampling costs sharpness."""

MIN_CONTRAST: Final = 0.1
"""Of the 1 mm lines: below, they are not seen, and what was measured is not the paper's bend."""

AGREED: Final = 0.2
"""Of the field's slope, that the lattice of the grid (NormalizedPage.bend) has to show, too: it shows 0.3 to 0.75 of it
on curled paper, and up to 0.13 where a flat page is full of tall complexes, which the phases take for bends."""

CLEAR_CONTRAST: Final = 0.25
"""Of the 1 mm lines, from which on the field needs no other witness: what tall complexes feign has up to 0.19."""

FINE_PX_PER_MM: Final = 13.0
"""A page is enlarged twice where it stays coarser than this."""

MIN_STRENGTH: Final = 1.5
MIN_LEAN: Final = 0.0015
"""Print that leans by less, or that stands out less from other slopes, is left as it is: 0.09 degrees, which set the
first and the fourth row 6 ms apart. On a photograph the measure errs by as much."""

_BLOCK_ROWS: Final = 256


def flattened(page: NormalizedPage, px_per_mm: PxPerMm) -> NormalizedPage:
    """Return a straight page without its bends and with its print upright, or the page itself where it is flat.

    `px_per_mm` is of its grid. Pages coarser than FINE_PX_PER_MM / 2 come back twice as large.
    """
    field = measure_field(page.image, px_per_mm)
    seen = field.bend_mm >= MIN_BEND_MM and field.contrast >= MIN_CONTRAST
    if not seen or (page.bend < AGREED * field.slope and field.contrast < CLEAR_CONTRAST):
        return page
    moved, enlarged = field.moved, 1
    flat = _remapped(page, field, moved, enlarged)
    left = measure_field(flat, px_per_mm, FROM_FLAT)
    lean = print_lean(flat, px_per_mm.coarser)
    leans = lean.strength >= MIN_STRENGTH and abs(lean.slope) >= MIN_LEAN
    enlarged = 2 if 2 * px_per_mm.finer < FINE_PX_PER_MM else 1
    if leans or enlarged > 1:
        moved = moved.then(Displacement.upright(lean.slope, moved.nodes)) if leans else moved
        flat = _remapped(page, field, moved, enlarged)
    period = None if page.period_px is None else (page.period_px[0] * enlarged, page.period_px[1] * enlarged)
    return replace(
        page.moved(flat, scaling(enlarged, enlarged)),
        period_px=period,
        bend=left.slope,
        flattened_mm=field.bend_mm,
        enlarged=enlarged,
        bends=Bends(moved, scaling(enlarged / field.shrink[0], enlarged / field.shrink[1])),
        warnings=(*(note for note in page.warnings if note != CURVED), _told(field.bend_mm)),
    )


def _told(bend_mm: float) -> str:
    return f"the paper was bent by {bend_mm:.1f} mm and was flattened by its own grid: compare the overlay"


def _remapped(page: NormalizedPage, field: Field, moved: Displacement, enlarged: int) -> UInt8[np.ndarray, "h w 3"]:
    """Return the page `enlarged` times as large, its places moved as the measured picture's are by `moved`."""
    height, width = (side * enlarged for side in page.image.shape[:2])
    back, original = moved.inverted(), np.linalg.inv(page.homography if page.from_source is None else page.from_source)
    scale = field.shrink[0] / enlarged, field.shrink[1] / enlarged
    paper = paper_colour(page.source)
    columns = _resized(np.arange(width, dtype=np.float64), scale[0])
    flat = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BLOCK_ROWS):
        rows = _resized(np.arange(top, min(height, top + _BLOCK_ROWS), dtype=np.float64), scale[1])
        moved_x, moved_y = back.spread(columns, rows)
        x = _resized(columns + moved_x, 1 / field.shrink[0])
        y = _resized(rows[:, None] + moved_y, 1 / field.shrink[1])
        flat[top : top + len(rows)] = cv2.remap(
            page.source,
            *_through(original, x, y),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=paper,
        )
    return flat


def _resized(places: Float64[np.ndarray, "*shape"], factor: float) -> Float64[np.ndarray, "*shape"]:
    """Return pixel coordinates on a picture `factor` times as large; pixel centres are whole numbers."""
    larger: Float64[np.ndarray, "*shape"] = (places + 0.5) * factor - 0.5
    return larger


def _through(
    homography: Float64[np.ndarray, "3 3"], x: Float64[np.ndarray, "h w"], y: Float64[np.ndarray, "h w"]
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    to_x, to_y, depth = (row[0] * x + row[1] * y + row[2] for row in homography)
    return (to_x / depth).astype(np.float32), (to_y / depth).astype(np.float32)
