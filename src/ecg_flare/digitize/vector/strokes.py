"""The lines of a page that go from left to right, and which of them are traces.

Machines draw a trace in one line, in lines of a few samples, or sample by sample; and some as a thin area, whose middle
it is. Letters that are drawn as curves are short and closed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.pdf_paths import PagePaths

MIN_TRACE_MM: Final = 12.0
"""The shortest lead: 0.5 s at 25 mm/s."""

_JOIN_MM: Final = 0.02
_BACKWARDS_MM: Final = 0.15  # that a trace may go back, by rounding or by the outline of a steep stroke
_BACKWARDS_SHARE: Final = 0.02
_MOST_BRANCHES: Final = 100  # lines that begin at one point, of which one may go on a trace
_COPY_MM: Final = 0.05
_MIN_POINTS: Final = 12
_THICKEST_MM: Final = 1.2  # of a trace that is drawn as an area
_SEEN_TURNS: Final = 6  # corners from the leftmost one at which its end is sought
_MITRE: Final = 8.0  # of the pen's width that the corners of a sharp turn stand apart


@dataclass(frozen=True, eq=False)
class Stroke:
    """A line from left to right, in pixels (x, y), the width of its pen, and its colour (RGB)."""

    points: Float64[np.ndarray, "k 2"]
    width_px: float
    colour: tuple[int, int, int]

    @property
    def left(self) -> float:
        """Where it begins."""
        return float(self.points[0, 0])

    @property
    def right(self) -> float:
        """Where it ends."""
        return float(self.points[-1, 0])

    @property
    def level(self) -> float:
        """Its resting height: the median of y along x."""
        x = np.linspace(self.left, self.right, 501)
        return float(np.median(np.interp(x, self.points[:, 0], self.points[:, 1])))


@dataclass(frozen=True)
class _Pen:
    """What lines that are one trace have in common."""

    colour: tuple[int, int, int]
    width_px: float
    left_px: float
    right_px: float


def find_strokes(paths: PagePaths, scale: PxPerMm) -> list[Stroke]:
    """All lines that go from left to right: traces, pulses, and rules."""
    lines = [*_joined(paths, scale), *_middles(paths, scale)]
    strokes = [stroke for stroke in (_from_left(line, scale) for line in lines) if stroke is not None]
    return _once(strokes, scale)


def _once(strokes: list[Stroke], scale: PxPerMm) -> list[Stroke]:
    """Each line once: some machines draw a trace twice, to have it bolder."""
    kept: dict[tuple[int, int], list[Stroke]] = defaultdict(list)
    for stroke in strokes:
        ends = kept[round(stroke.left / scale.x), round(stroke.right / scale.x)]
        if not any(_same_line(stroke, other, _COPY_MM * scale.y) for other in ends):
            ends.append(stroke)
    return [stroke for ends in kept.values() for stroke in ends]


def _same_line(one: Stroke, other: Stroke, near: float) -> bool:
    x = np.linspace(max(one.left, other.left), min(one.right, other.right), 201)
    y = [np.interp(x, *stroke.points.T) for stroke in (one, other)]
    return bool(np.abs(y[0] - y[1]).max() < near)


def _joined(paths: PagePaths, scale: PxPerMm) -> Iterator[Stroke]:
    """Open lines, those joined that go on where another one of their kind ends."""
    near = _JOIN_MM * scale.finer
    open_lines: dict[_Pen, list[Float64[np.ndarray, "k 2"]]] = defaultdict(list)
    for number in np.flatnonzero(paths.stroked & ~paths.closed):
        left, _, right, _ = np.round(paths.clip_px[number], 3).tolist()
        pen = _Pen(colour_of(paths, int(number)), round(float(paths.width_px[number]), 2), left, right)
        open_lines[pen].append(paths.piece(int(number)))
    for pen, pieces in open_lines.items():
        for line in _chained(pieces, near):
            for shown in _within(line, pen.left_px, pen.right_px):
                yield Stroke(shown, pen.width_px, pen.colour)


def _chained(pieces: list[Float64[np.ndarray, "k 2"]], near: float) -> Iterator[Float64[np.ndarray, "k 2"]]:
    """Pieces as lines: each goes on with the piece that begins where it ends, the next one that is drawn first."""
    begins: dict[tuple[int, int], list[int]] = defaultdict(list)
    ends: set[tuple[int, int]] = set()
    for number, piece in enumerate(pieces):
        begins[_cell(piece[0], near)].append(number)
        ends |= set(_cells(piece[-1], near))
    used = np.zeros(len(pieces), bool)
    heads = [n for n, piece in enumerate(pieces) if _cell(piece[0], near) not in ends]
    for head in (*heads, *range(len(pieces))):
        if used[head]:
            continue
        chain: list[Float64[np.ndarray, "k 2"]] = []
        at: int | None = head
        while at is not None:
            used[at] = True
            chain.append(pieces[at] if not chain else pieces[at][1:])
            at = _next(pieces, at, begins, used, near)
        yield np.concatenate(chain)


def _next(
    pieces: list[Float64[np.ndarray, "k 2"]],
    at: int,
    begins: dict[tuple[int, int], list[int]],
    used: np.ndarray,
    near: float,
) -> int | None:
    end = pieces[at][-1]
    following = [
        number
        for cell in _cells(end, near)
        for number in (begins[cell] if len(begins.get(cell, ())) <= _MOST_BRANCHES else ())
        if not used[number] and np.abs(pieces[number][0] - end).max() <= near
    ]
    return min(following, key=lambda number: (number < at, abs(number - at)), default=None)


def _cell(point: Float64[np.ndarray, " 2"], size: float) -> tuple[int, int]:
    return int(point[0] // size), int(point[1] // size)


def _cells(point: Float64[np.ndarray, " 2"], size: float) -> list[tuple[int, int]]:
    x, y = _cell(point, size)
    return [(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def _within(line: Float64[np.ndarray, "k 2"], left: float, right: float) -> Iterator[Float64[np.ndarray, "k 2"]]:
    """The parts of a line that a clip shows, cut at its edges in x.

    What a clip cuts off above and below is the trace's all the same.
    """
    x = line[:, 0]
    inside = (x >= left) & (x <= right)
    if inside.all():
        yield line
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    for first, after in edges.reshape(-1, 2):
        part = line[first:after]
        before = [_cut(line[first - 1], line[first], left, right)] if first > 0 else []
        behind = [_cut(line[after], line[after - 1], left, right)] if after < len(line) else []
        yield np.concatenate([np.array(before).reshape(-1, 2), part, np.array(behind).reshape(-1, 2)])


def _cut(
    outside: Float64[np.ndarray, " 2"], inside: Float64[np.ndarray, " 2"], left: float, right: float
) -> Float64[np.ndarray, " 2"]:
    """Where the way from a point outside to one inside crosses an edge."""
    edge = left if outside[0] < left else right
    share = (edge - inside[0]) / (outside[0] - inside[0])
    crossing: Float64[np.ndarray, " 2"] = inside + share * (outside - inside)
    return crossing


def _middles(paths: PagePaths, scale: PxPerMm) -> Iterator[Stroke]:
    """The middle lines of areas that are long and thin."""
    for number in np.flatnonzero(paths.filled & ~paths.stroked):
        outline = paths.piece(int(number))
        if len(outline) >= 2 * _MIN_POINTS and np.ptp(outline[:, 0]) > MIN_TRACE_MM * scale.x:
            middle = _middle(outline, scale)
            if middle is not None:
                yield replace(middle, colour=colour_of(paths, int(number)))


def colour_of(paths: PagePaths, number: int) -> tuple[int, int, int]:
    """The colour of a piece."""
    red, green, blue = paths.colour[number].tolist()
    return red, green, blue


def _middle(outline: Float64[np.ndarray, "k 2"], scale: PxPerMm) -> Stroke | None:
    """The line half-way between both edges of an area, corner by corner.

    None where the edges have different numbers of corners, or stand far apart: then no corner is another one's
    counterpart, and the middle would be a guess where a peak is narrower than the pen.
    """
    ring = outline
    while len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    if len(ring) % 2:
        return None
    first = int(ring[:, 0].argmin())
    found = min((_edges(ring, first + turn) for turn in range(-_SEEN_TURNS, _SEEN_TURNS)), key=_apart)
    width = _apart(found)
    between = np.hypot(*(found[0] - found[1]).T)
    if width > _THICKEST_MM * scale.finer or float(np.quantile(between, 0.99)) > _MITRE * width:
        return None
    return Stroke((found[0] + found[1]) / 2, width, (0, 0, 0))


def _edges(
    ring: Float64[np.ndarray, "k 2"], start: int
) -> tuple[Float64[np.ndarray, "h 2"], Float64[np.ndarray, "h 2"]]:
    """The corners of both edges from one end of an area to the other, if the end is the side after corner `start`."""
    half = np.arange(len(ring) // 2)
    return ring[(start + 1 + half) % len(ring)], ring[(start - half) % len(ring)]


def _apart(edges: tuple[Float64[np.ndarray, "h 2"], Float64[np.ndarray, "h 2"]]) -> float:
    return float(np.median(np.hypot(*(edges[0] - edges[1]).T)))


def _from_left(stroke: Stroke, scale: PxPerMm) -> Stroke | None:
    """The line from left to right, one y at each x; None where it goes back and forth."""
    points = stroke.points if stroke.points[-1, 0] >= stroke.points[0, 0] else stroke.points[::-1]
    ahead = np.diff(points[:, 0])
    back = -np.minimum(ahead, 0.0)
    total = float(np.abs(ahead).sum())
    if total <= 0 or back.max(initial=0.0) > _BACKWARDS_MM * scale.x or back.sum() > _BACKWARDS_SHARE * total:
        return None
    kept = np.concatenate([[True], np.diff(np.maximum.accumulate(points[:, 0])) > 0])
    kept |= np.concatenate([ahead == 0, [False]]) | np.concatenate([[False], ahead == 0])  # upright strokes stay whole
    return replace(stroke, points=points[kept])


def is_trace(stroke: Stroke, scale: PxPerMm) -> bool:
    """Whether a line is as long as a lead, and bends."""
    return stroke.right - stroke.left > MIN_TRACE_MM * scale.x and len(stroke.points) >= _MIN_POINTS
