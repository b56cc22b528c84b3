"""What is printed on a page and where: each lead's polyline in pixels, to a fraction of a pixel.

Pixel (row r, column c) has its centre at x = c, y = r. Points are (x, y), float64, y downwards.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64

from ecg_flare.documents import Fields, parse_object
from ecg_flare.ecg.leads import ALL_LEADS, LIMB_LEADS
from ecg_flare.errors import PageError

Points = Float64[np.ndarray, "_ 2"]
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""A 3 x 3 matrix, in rows."""

_OUTLINE_STEPS: Final = 16

# What a truth that somebody hands in can say; those that are rendered stay far within.
_MAX_SIDE_PX: Final = 65_535
_PX_PER_MM: Final = (0.05, 1000.0)
_SCALE: Final = (0.1, 1000.0)
_LONGEST_S: Final = 1e5
_FURTHEST_PX: Final = 1e6
_MAX_TRACES: Final = 1000
_MANY: Final = (1, 200_000)
_MIN_DETERMINANT: Final = 1e-9


@dataclass(frozen=True, eq=False)
class LeadTrace:
    """An unbroken stretch of one lead as printed.

    `polyline` has a point a sample; sample i was taken at `start_s` + i/fs, and `end_s` is `start_s` + k/fs, so that a
    full column of 2.5 s spans 2.5 s (`times_s`). A lead with gaps has several traces. `row` counts from the top of
    the page. `inverted` says that the lead is printed upside down (aVR in Cabrera order): mV grow downwards. Points
    may lie outside the image where the trace left the paper.
    """

    lead: str
    row: int
    polyline: Points
    start_s: float
    end_s: float
    is_rhythm: bool
    inverted: bool = False

    def times_s(self) -> Float64[np.ndarray, " points"]:
        """Time of each point of the polyline, in seconds from the start of the recording."""
        return np.linspace(self.start_s, self.end_s, len(self.polyline), endpoint=False)


@dataclass(frozen=True, eq=False)
class PageTruth:
    """Everything that is known of a rendered page.

    `px_per_mm_x`, `px_per_mm_y`: scale along the page's own axes; after a perspective, curl or fold only the scale at
    the middle of the page, while `homography` still maps millimetres from the page's top left corner (x, y, 1) to
    pixels (exactly, but for the bend of a curl or fold). `chest_gain_mm_per_mv`: that of all but the limb leads, which
    is `gain_mm_per_mv` on most pages. `pulses`: calibration pulses, `print_boxes`: text, labels and separators as
    quadrilaterals (4, 2). `paper`: outline of the paper as far as it is seen; what the others hold outside of it was
    cut off and is not on the image. `height_px`, `width_px`: size of the image.
    """

    height_px: int
    width_px: int
    px_per_mm_x: float
    px_per_mm_y: float
    layout: str
    speed_mm_per_s: float
    gain_mm_per_mv: float
    chest_gain_mm_per_mv: float
    traces: tuple[LeadTrace, ...]
    pulses: tuple[Points, ...]
    print_boxes: tuple[Points, ...]
    paper: Points
    homography: Matrix

    def gain_of(self, lead: str) -> float:
        """Gain at which a lead is printed, in mm/mV."""
        return self.gain_mm_per_mv if lead in LIMB_LEADS else self.chest_gain_mm_per_mv

    def moved(self, move: Callable[[Points], Points], shape: tuple[int, int]) -> "PageTruth":
        """Return the truth with every point moved, for an image of the new `shape` (height, width).

        Scales and homography are kept; whoever moves the page says what becomes of them.
        """
        return replace(
            self,
            height_px=shape[0],
            width_px=shape[1],
            traces=tuple(replace(trace, polyline=move(trace.polyline)) for trace in self.traces),
            pulses=tuple(move(pulse) for pulse in self.pulses),
            print_boxes=tuple(move(box) for box in self.print_boxes),
            paper=move(self.paper),
        )

    def warped(self, matrix: Float64[np.ndarray, "3 3"], shape: tuple[int, int]) -> "PageTruth":
        """Return the truth seen through a homography of pixels, for an image of the new `shape` (height, width)."""
        moved = self.moved(lambda points: warp_points(points, matrix), shape)
        homography = matrix @ np.array(self.homography)
        scale_x, scale_y = _scale_at_middle(homography, shape)
        return replace(moved, px_per_mm_x=scale_x, px_per_mm_y=scale_y, homography=to_matrix(homography))

    def to_json(self) -> str:
        """Write as JSON; `from_json` gives back every number bit for bit."""
        return json.dumps(asdict(self), default=lambda points: points.tolist())

    @classmethod
    def from_json(cls, text: str) -> "PageTruth":
        """Read what `to_json` wrote; raises PageError if it is something else.

        A truth without the chest leads' gain, as earlier versions wrote them, is of a page of one gain.
        """
        where = "Not the truth of a page"
        fields = Fields(parse_object(text, where, PageError), where, PageError).only(_names(cls))
        homography = _points(fields.each("homography", 3), 3, (3, 3), "homography")
        if not abs(np.linalg.det(homography)) > _MIN_DETERMINANT or homography[2, 2] == 0:
            raise PageError(f"{where}: its homography {homography.tolist()} maps the page to a line.")
        gain = fields.number("gain_mm_per_mv", *_SCALE)
        traces = [_trace(Fields(each, f"{where}, traces", PageError)) for each in fields.each("traces", _MAX_TRACES)]
        return cls(
            height_px=fields.whole("height_px", 1, _MAX_SIDE_PX),
            width_px=fields.whole("width_px", 1, _MAX_SIDE_PX),
            px_per_mm_x=fields.number("px_per_mm_x", *_PX_PER_MM),
            px_per_mm_y=fields.number("px_per_mm_y", *_PX_PER_MM),
            layout=fields.text("layout"),
            speed_mm_per_s=fields.number("speed_mm_per_s", *_SCALE),
            gain_mm_per_mv=gain,
            chest_gain_mm_per_mv=fields.number("chest_gain_mm_per_mv", *_SCALE, default=gain),
            traces=tuple(traces),
            pulses=tuple(_points(each, 2, _MANY, "pulses") for each in fields.each("pulses", _MAX_TRACES)),
            print_boxes=tuple(
                _points(each, 2, _MANY, "print_boxes") for each in fields.each("print_boxes", _MAX_TRACES)
            ),
            paper=_points(fields.each("paper", _MANY[1]), 2, _MANY, "paper"),
            homography=to_matrix(homography),
        )


def outline(shape: tuple[int, int]) -> Points:
    """Edge of a whole image of `shape` (height, width), clockwise, with enough points to follow a bend."""
    steps = np.linspace(0, 1, _OUTLINE_STEPS, endpoint=False)
    zero, one = np.zeros_like(steps), np.ones_like(steps)
    parts = [(steps, zero), (one, steps), (1 - steps, one), (zero, 1 - steps)]
    edge: Points = np.concatenate([np.stack(part, axis=1) for part in parts]) * [shape[1], shape[0]] - 0.5
    return edge


def warp_points(points: Points, matrix: Float64[np.ndarray, "3 3"]) -> Points:
    """Map points through a homography."""
    return (
        cv2.perspectiveTransform(points[:, None], np.asarray(matrix, dtype=np.float64))[:, 0] if len(points) else points
    )


def scaling(x: float, y: float) -> Float64[np.ndarray, "3 3"]:
    """Return the homography to a picture `x` times as wide and `y` times as high.

    Corners of the picture stay corners, and centres of pixels have whole coordinates: hence the halves.
    """
    return np.array([[x, 0.0, x / 2 - 0.5], [0.0, y, y / 2 - 0.5], [0.0, 0.0, 1.0]])


def to_matrix(matrix: Float64[np.ndarray, "3 3"]) -> Matrix:
    """A 3 x 3 array as a tuple of rows, scaled to a last element of 1."""
    (a, b, c), (d, e, f), (g, h, i) = (matrix / matrix[2, 2]).tolist()
    return (a, b, c), (d, e, f), (g, h, i)


def _scale_at_middle(homography: Float64[np.ndarray, "3 3"], shape: tuple[int, int]) -> tuple[float, float]:
    middle_px = np.array([[(shape[1] - 1) / 2, (shape[0] - 1) / 2]])
    middle_mm = warp_points(middle_px, np.linalg.inv(homography))
    origin, right, down = warp_points(middle_mm + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), homography)
    return float(np.hypot(*(right - origin))), float(np.hypot(*(down - origin)))


def _points(values: object, columns: int, rows: tuple[int, int], name: str) -> Float64[np.ndarray, "rows columns"]:
    """Points as an array; raises PageError unless there are `rows` of them (from, to), finite and near the page."""
    try:
        points = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PageError(f"Not the truth of a page: {name} are no points ({error}).") from error
    if points.ndim != 2 or points.shape[1] != columns or not rows[0] <= len(points) <= rows[1]:
        raise PageError(
            f"Not the truth of a page: {name} must be {rows[0]} to {rows[1]} points of {columns} numbers. "
            f"Found shape {points.shape}."
        )
    if not np.abs(points).max() <= _FURTHEST_PX:  # NaN is not
        raise PageError(f"Not the truth of a page: {name} reach beyond {_FURTHEST_PX:g} pixels.")
    return points


def _names(owner: type[PageTruth] | type[LeadTrace]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclass_fields(owner))


def _trace(fields: Fields) -> LeadTrace:
    fields.only(_names(LeadTrace))
    lead, start_s, end_s = (
        fields.text("lead"),
        fields.number("start_s", 0, _LONGEST_S),
        fields.number("end_s", 0, _LONGEST_S),
    )
    if lead not in ALL_LEADS:
        fields.refuse("lead", lead, f"one of {', '.join(ALL_LEADS)}")
    polyline = _points(fields.each("polyline", _MANY[1]), 2, _MANY, "polyline")
    row = fields.whole("row", 0, _MAX_TRACES)
    return LeadTrace(lead, row, polyline, start_s, end_s, fields.flag("is_rhythm"), fields.flag("inverted"))
