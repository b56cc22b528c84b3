"""A smooth displacement of a picture, known at nodes: applied, put after another, and taken backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar, cast

import cv2
import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

_INVERSIONS: Final = 12  # a bend of one millimetre in ten leaves a tenth of the error at each

Picture = TypeVar("Picture", Float32[np.ndarray, "h w"], UInt8[np.ndarray, "h w 3"])
_Plane = Float64[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Nodes:
    """Places all over a page, `step_px` apart; the first one is at the middle of the first `step_px` pixels."""

    rows: int
    columns: int
    step_px: int

    @classmethod
    def over(cls, shape: tuple[int, int], step_px: int) -> Nodes:
        """Nodes over a picture of (height, width)."""
        return cls(-(-shape[0] // step_px), -(-shape[1] // step_px), step_px)

    @property
    def first_px(self) -> float:
        """The first node's place along either axis."""
        return (self.step_px - 1) / 2.0


@dataclass(frozen=True, eq=False)
class Displacement:
    """How far the picture is moved at each node, to the right and down, in pixels."""

    x: _Plane
    y: _Plane
    nodes: Nodes

    @classmethod
    def none(cls, nodes: Nodes) -> Displacement:
        """Nothing is moved."""
        zeros = np.zeros((nodes.rows, nodes.columns))
        return cls(zeros, zeros, nodes)

    @classmethod
    def upright(cls, slope: float, nodes: Nodes) -> Displacement:
        """What leans to the right by `slope` of its way down stands upright, around the middle row."""
        down = (np.arange(nodes.rows) - (nodes.rows - 1) / 2.0) * nodes.step_px
        x = np.repeat(-slope * down[:, None], nodes.columns, axis=1)
        return cls(x, np.zeros_like(x), nodes)

    def then(self, other: Displacement) -> Displacement:
        """Return this displacement followed by one that was measured on the picture that it moved."""
        from scipy.ndimage import map_coordinates

        step = self.nodes.step_px
        rows, columns = np.mgrid[: self.nodes.rows, : self.nodes.columns].astype(np.float64)
        at = (rows + self.y / step, columns + self.x / step)
        more = [map_coordinates(each, at, order=3, mode="nearest") for each in (other.x, other.y)]
        return Displacement(self.x + more[0], self.y + more[1], self.nodes)

    def inverted(self) -> Displacement:
        """Return the displacement that moves the picture back."""
        from scipy.ndimage import map_coordinates, spline_filter

        step = self.nodes.step_px
        rows, columns = np.mgrid[: self.nodes.rows, : self.nodes.columns].astype(np.float64)
        fields = [spline_filter(each / step, order=3) for each in (self.x, self.y)]
        x, y = columns, rows
        for _ in range(_INVERSIONS):
            ex, ey = (map_coordinates(each, (y, x), order=3, mode="nearest", prefilter=False) for each in fields)
            x, y = columns - ex, rows - ey
        return Displacement((x - columns) * step, (y - rows) * step, self.nodes)

    def applied(self, picture: Picture, *, border: int) -> Picture:
        """Return a picture, of one channel or three, moved by this displacement; `border` is OpenCV's border mode."""
        height, width = picture.shape[:2]
        columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        x, y = self.inverted().spread(columns, rows)
        return cast(Picture, cv2.remap(picture, columns + x, rows[:, None] + y, cv2.INTER_CUBIC, borderMode=border))

    def at(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        """Return points (x, y) of the picture where they are moved to."""
        from scipy.ndimage import map_coordinates

        nodes = (points[:, ::-1] - self.nodes.first_px).T / self.nodes.step_px
        moved = [map_coordinates(each, nodes, order=3, mode="nearest") for each in (self.x, self.y)]
        result: Float64[np.ndarray, "k 2"] = points + np.stack(moved, axis=1)
        return result

    def spread(
        self, columns: Float[np.ndarray, " w"], rows: Float[np.ndarray, " h"]
    ) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
        """Return how far the pixels of these columns and rows are moved, by cubic splines through the nodes."""
        from scipy.interpolate import RectBivariateSpline

        at_x = np.clip((columns - self.nodes.first_px) / self.nodes.step_px, 0, self.nodes.columns - 1)
        at_y = np.clip((rows - self.nodes.first_px) / self.nodes.step_px, 0, self.nodes.rows - 1)
        node_rows, node_columns = np.arange(self.nodes.rows), np.arange(self.nodes.columns)
        x, y = (
            RectBivariateSpline(node_rows, node_columns, each)(at_y, at_x).astype(np.float32)
            for each in (self.x, self.y)
        )
        return x, y
