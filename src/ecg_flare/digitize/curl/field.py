"""How far every place of a page lies off its own flat grid: measured by phases, of the 5 mm lines first, then of 1 mm.

The 5 mm lines tell the whole turns, since no paper is bent by 2.5 mm from one node to the next; ink pulls them by up to
0.3 mm, which the 1 mm lines mend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ecg_flare.digitize.curl.grid_phase import amplitudes, quiet_grid
from ecg_flare.digitize.curl.surface import smoothed, unwrapped
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.displacement import Displacement, Nodes

_WORK_PX_PER_MM: Final = 4.5
_NODE_MM: Final = 2.5
_STIFFNESS: Final = 0.3
_SEEN: Final = 0.4  # of the median amplitude: below, a node shows no grid, or one that a stain covers
_MOST_WEIGHT: Final = 1.2
_MIN_SEEN: Final = 8  # nodes that a plane is fitted to
_SLOPE_MM: Final = 12.5  # the paper's slope is taken over this length


@dataclass(frozen=True)
class Pass:
    """Lines of one period, and how far around a node they are averaged, along them and across (standard deviation).

    `whole_turns`: whether places may be off by half a period or more.
    """

    period_mm: float
    along_mm: float
    across_mm: float
    whole_turns: bool = False


FROM_BENT: Final = (Pass(5.0, 6.0, 5.0, whole_turns=True), Pass(5.0, 4.0, 3.0), Pass(1.0, 3.5, 2.5))
"""From paper that may be bent by centimetres."""

FROM_FLAT: Final = (Pass(1.0, 3.5, 2.5),)
"""From paper that is nearly flat."""


@dataclass(frozen=True, eq=False)
class Field:
    """Where the places of a page belong on its flat grid.

    Attributes:
        moved: how far the picture that was measured on is moved at each node to be flat, in its pixels.
        seen: weight of the grid's lines at each node, 0 where there are none.
        px_per_mm: of that picture.
        shrink: how many times the page's own size that picture is, in x and y.
        contrast: amplitude of the finest lines over the signal's standard deviation, along the weaker axis.
    """

    moved: Displacement
    seen: Float64[np.ndarray, "rows columns"]
    px_per_mm: PxPerMm
    shrink: tuple[float, float]
    contrast: float

    @property
    def bend_mm(self) -> float:
        """The 90th percentile of the distance from the best plane, where the grid is seen; the greater of both axes."""
        return max(_off_plane(each, self.seen) for each in self._in_mm())

    @property
    def slope(self) -> float:
        """By how much the paper moves off its plane along x or y, a length of it (90th percentile)."""
        step = max(1, round(_SLOPE_MM * self.px_per_mm.coarser / self.moved.nodes.step_px))
        length_mm = step * self.moved.nodes.step_px / self.px_per_mm.coarser
        parts = [0.0]
        for each in self._in_mm():
            for axis in (0, 1):
                steps = np.moveaxis(each, axis, 0)
                seen = np.moveaxis(self.seen, axis, 0)
                both = (seen[step:] > 0) & (seen[:-step] > 0)
                change = (steps[step:] - steps[:-step])[both]
                if len(change) >= _MIN_SEEN:
                    parts.append(float(np.quantile(np.abs(change - np.median(change)), 0.9)) / length_mm)
        return max(parts)

    def _in_mm(self) -> tuple[Float64[np.ndarray, "rows columns"], Float64[np.ndarray, "rows columns"]]:
        return self.moved.x / self.px_per_mm.x, self.moved.y / self.px_per_mm.y


def measure_field(image: UInt8[np.ndarray, "h w 3"], px_per_mm: PxPerMm, passes: Sequence[Pass] = FROM_BENT) -> Field:
    """Measure how a page lies off its grid.

    `px_per_mm` is that of its flat grid, right to a few per cent; what it is wrong by comes back as a plane.
    """
    height, width = image.shape[:2]
    factor = min(1.0, _WORK_PX_PER_MM / px_per_mm.coarser)
    size = (round(width * factor), round(height * factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if factor < 1.0 else image
    shrink = (size[0] / width, size[1] / height)
    unit = px_per_mm.scaled(*shrink)
    signal = quiet_grid(small, unit.coarser)
    moved = Displacement.none(Nodes.over((size[1], size[0]), max(2, round(_NODE_MM * unit.coarser))))
    contrast, seen = 0.0, np.zeros_like(moved.x)
    for step in passes:
        flat = signal if step is passes[0] else moved.applied(signal, border=cv2.BORDER_CONSTANT)
        across, down = _offsets(flat, unit, step, moved.nodes)
        moved = moved.then(Displacement(across.offset_px, down.offset_px, moved.nodes))
        contrast, seen = min(across.contrast, down.contrast), np.minimum(across.weight, down.weight)
    return Field(moved, seen, unit, shrink, contrast)


@dataclass(frozen=True, eq=False)
class _Offsets:
    """Along one axis: by how much each node is off, how surely, and how clear the lines are."""

    offset_px: Float64[np.ndarray, "rows columns"]
    weight: Float64[np.ndarray, "rows columns"]
    contrast: float

    def transposed(self) -> _Offsets:
        return _Offsets(self.offset_px.T, self.weight.T, self.contrast)


def _offsets(signal: Float32[np.ndarray, "h w"], unit: PxPerMm, step: Pass, nodes: Nodes) -> tuple[_Offsets, _Offsets]:
    across = _offset(signal, unit, step, nodes)
    turned = Nodes(nodes.columns, nodes.rows, nodes.step_px)
    down = _offset(np.ascontiguousarray(signal.T), PxPerMm(unit.y, unit.x), step, turned)
    return across, down.transposed()


def _offset(signal: Float32[np.ndarray, "h w"], unit: PxPerMm, step: Pass, nodes: Nodes) -> _Offsets:
    period = step.period_mm * unit.x
    found = amplitudes(signal, period, nodes, (step.along_mm * unit.y, step.across_mm * unit.x))
    size = np.abs(found).astype(np.float64)
    middle = float(np.median(size))
    clear = size / max(middle, 1e-9)
    weight = np.where(clear < _SEEN, 0.0, np.minimum(clear, _MOST_WEIGHT) ** 2)
    phase = np.angle(found).astype(np.float64)
    if step.whole_turns:
        surface = unwrapped(phase, weight, _STIFFNESS)
    else:
        surface = smoothed(np.zeros_like(phase), phase, weight, _STIFFNESS)
    return _Offsets(surface * period / (2.0 * np.pi), weight, middle / max(float(signal.std()), 1e-9))


def _off_plane(offset: Float64[np.ndarray, "rows columns"], seen: Float64[np.ndarray, "rows columns"]) -> float:
    rows, columns = np.nonzero(seen > 0)
    if len(rows) < _MIN_SEEN:
        return 0.0
    design = np.stack([np.ones(len(rows)), columns, rows], axis=1)
    values = offset[rows, columns]
    plane, *_ = np.linalg.lstsq(design, values, rcond=None)
    return float(np.quantile(np.abs(values - design @ plane), 0.9))
