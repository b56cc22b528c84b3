"""What a PDF page draws as lines and text, in the pixels of its picture: exact, where pixels only show it.

The file is read in a process of its own, with bounded memory and time, like the picture (`pdf_files`). Curves become
chords. Objects in form XObjects stand where their matrices put them. Of a clip only the bounding box counts.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from ecg_flare.page.apart import answer_apart, ask_apart

MAX_POINTS: Final = 500_000
"""Of all paths of a page: ten seconds of twelve leads at 1000 Hz have 120,000, and 240,000 drawn sample by sample."""

FARTHEST_PX: Final = 100_000.0
"""From the page's corner; what goes farther is left out."""

MAX_CHARACTERS: Final = 20_000

_CHORDS: Final = 8
"""Into which a Bezier curve is cut."""

_DEEPEST: Final = 8
"""Form XObjects within each other."""

_Matrix = Float64[np.ndarray, "3 3"]


@dataclass(frozen=True)
class Character:
    """A character of text, and its box in pixels: left, top, right, bottom."""

    text: str
    box_px: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class PagePaths:
    """The lines of a page, piece by piece, and its text, in the order in which they are drawn.

    A piece is drawn without lifting the pen: piece k has the points `points_px[starts[k] : starts[k + 1]]` (x, y;
    centres of pixels are whole numbers, as in the picture of the page).

    Attributes:
        points_px: of all pieces.
        starts: of each piece, and the end of the last one.
        path: number of the object that a piece is part of.
        closed, curved: whether a piece ends where it begins, and whether it has curves.
        stroked, filled: how it is drawn.
        width_px: of the pen.
        colour: of the pen, or else of the area.
        clip_px: box of what is shown of it: left, top, right, bottom.
        characters: the text.
    """

    points_px: Float64[np.ndarray, "n 2"]
    starts: Int64[np.ndarray, " pieces_and_end"]
    path: Int64[np.ndarray, " pieces"]
    closed: Bool[np.ndarray, " pieces"]
    curved: Bool[np.ndarray, " pieces"]
    stroked: Bool[np.ndarray, " pieces"]
    filled: Bool[np.ndarray, " pieces"]
    width_px: Float64[np.ndarray, " pieces"]
    colour: UInt8[np.ndarray, "pieces 3"]
    clip_px: Float64[np.ndarray, "pieces 4"]
    characters: tuple[Character, ...] = ()

    def __len__(self) -> int:
        return len(self.path)

    def piece(self, number: int) -> Float64[np.ndarray, "k 2"]:
        """The points of a piece."""
        return self.points_px[self.starts[number] : self.starts[number + 1]]


@dataclass(frozen=True, eq=False)
class DrawnLines:
    """The lines of a page, and how many pixels of its picture a millimetre of its paper has."""

    paths: PagePaths
    px_per_mm: float


_ARRAYS: Final = {
    "points_px": (np.float64, (-1, 2)),
    "starts": (np.int64, (-1,)),
    "path": (np.int64, (-1,)),
    "closed": (np.bool_, (-1,)),
    "curved": (np.bool_, (-1,)),
    "stroked": (np.bool_, (-1,)),
    "filled": (np.bool_, (-1,)),
    "width_px": (np.float64, (-1,)),
    "colour": (np.uint8, (-1, 3)),
    "clip_px": (np.float64, (-1, 4)),
}
assert [*_ARRAYS, "characters"] == [field.name for field in fields(PagePaths)]


def read_pdf_paths(path: Path, number: int, shape: tuple[int, int]) -> PagePaths:
    """The lines and the text of page `number` (from 1), whose picture has this height and width.

    Raises PageError where the file cannot be read, has no such page, or draws more than MAX_POINTS points.
    """
    return paths_of(*ask_apart(__name__, path, (str(number), str(shape[0]), str(shape[1]))))


def paths_of(said: Mapping[str, Any], body: bytes) -> PagePaths:
    """What the child answered, as arrays."""
    arrays: dict[str, Any] = {}
    at = 0
    for name, (kind, form) in _ARRAYS.items():
        size = int(said["bytes"][name])
        arrays[name] = np.frombuffer(body[at : at + size], kind).reshape(form)
        at += size
    characters = tuple(Character(text, tuple(box)) for text, box in said["characters"])
    return PagePaths(**arrays, characters=characters)


def answer_paths(file: IO[bytes], arguments: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """What the child answers: the arrays of PagePaths one after another, and their sizes; or `error`."""
    import pypdfium2 as pdfium

    number, height, width = (int(argument) for argument in arguments)
    try:
        with pdfium.PdfDocument(file, autoclose=False) as document:
            if number > len(document):
                return {"error": f"has {len(document)} pages; page {number} was asked for"}, b""
            page = document[number - 1]
            to_picture = _to_picture(page, height, width)
            found = _Found()
            for item, matrix in _objects(page):
                _add_path(found, item, to_picture @ matrix, (width, height))
            characters = list(_characters(page, to_picture))
    except pdfium.PdfiumError as error:
        return {"error": f"is no sound PDF ({error})"}, b""
    except _TooManyError:
        return {"error": f"draws more than {MAX_POINTS} points on page {number}"}, b""
    blocks = {name: block.astype(_ARRAYS[name][0]).tobytes() for name, block in found.arrays().items()}
    said = {"bytes": {name: len(block) for name, block in blocks.items()}, "characters": characters}
    return said, b"".join(blocks[name] for name in _ARRAYS)


class _TooManyError(Exception):
    """The page draws more than is read."""


class _Found:
    """Pieces as they are found."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []
        self.starts: list[int] = [0]
        self.rows: list[tuple[Any, ...]] = []
        self.paths = 0

    def add(self, points: list[tuple[float, float]], shape: tuple[bool, bool], style: tuple[Any, ...]) -> None:
        if len(points) < 2:
            return
        self.points += points
        self.starts.append(len(self.points))
        self.rows.append((self.paths, *shape, *style))
        if len(self.points) > MAX_POINTS:
            raise _TooManyError

    def arrays(self) -> dict[str, np.ndarray]:
        columns = list(zip(*self.rows, strict=True)) or [()] * 8
        names = ("path", "closed", "curved", "stroked", "filled", "width_px", "colour", "clip_px")
        found = {name: np.array(column) for name, column in zip(names, columns, strict=True)}
        return {"points_px": np.array(self.points), "starts": np.array(self.starts), **found}


def _to_picture(page: Any, height: int, width: int) -> _Matrix:
    """From the page's own points to pixels of its picture, its rotation and crop included."""
    import pypdfium2.raw as raw

    fine, corners = 1_000_000, ((0.0, 0.0), (100.0, 0.0), (0.0, 100.0))
    x, y, seen = ctypes.c_int(), ctypes.c_int(), []
    for corner in corners:
        raw.FPDF_PageToDevice(page, 0, 0, fine, fine, 0, *corner, x, y)
        seen.append((x.value / fine * width, y.value / fine * height))
    origin, along, up = np.array(seen)
    return np.array(
        [
            [(along - origin)[0] / 100, (up - origin)[0] / 100, origin[0] - 0.5],
            [(along - origin)[1] / 100, (up - origin)[1] / 100, origin[1] - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )


def _objects(page: Any) -> Iterator[tuple[Any, _Matrix]]:
    """Path objects, each with the matrix from the space that its own matrix leads to, to the page."""
    import pypdfium2.raw as raw

    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=_DEEPEST):
        matrix, container = np.eye(3), item.container
        while container is not None:
            matrix = _matrix(container) @ matrix
            container = container.container
        yield item, matrix


def _matrix(item: Any) -> _Matrix:
    a, b, c, d, e, f = item.get_matrix().get()
    return np.array([[a, c, e], [b, d, f], [0.0, 0.0, 1.0]])


def _add_path(found: _Found, item: Any, to_picture: _Matrix, size: tuple[int, int]) -> None:
    import pypdfium2.raw as raw

    fill, stroke, width = ctypes.c_int(), ctypes.c_int(), ctypes.c_float()
    raw.FPDFPath_GetDrawMode(item, fill, stroke)
    if not fill.value and not stroke.value:
        return
    found.paths += 1
    matrix = to_picture @ _matrix(item)
    raw.FPDFPageObj_GetStrokeWidth(item, width)
    pen = width.value * abs(float(np.linalg.det(matrix[:2, :2]))) ** 0.5
    ask = raw.FPDFPageObj_GetStrokeColor if stroke.value else raw.FPDFPageObj_GetFillColor
    style = (bool(stroke.value), bool(fill.value), pen, _colour(ask, item), _clip(item, to_picture, size))
    segments = (raw.FPDFPath_GetPathSegment(item, index) for index in range(raw.FPDFPath_CountSegments(item)))
    for points, closed, curved in _pieces(segments):
        moved = np.array(points) @ matrix[:2, :2].T + matrix[:2, 2]
        if (np.abs(moved) < FARTHEST_PX).all():  # which NaN is not, either
            found.add([*map(tuple, moved.tolist())], (closed, curved), style)


def _pieces(segments: Iterator[Any]) -> Iterator[tuple[list[tuple[float, float]], bool, bool]]:
    """The points of each piece of a path, whether it is closed, and whether it has curves."""
    import pypdfium2.raw as raw

    x, y = ctypes.c_float(), ctypes.c_float()
    points: list[tuple[float, float]] = []
    bend: list[tuple[float, float]] = []
    closed = curved = False
    for segment in segments:
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        if kind == raw.FPDF_SEGMENT_MOVETO:
            if points:
                yield points, closed, curved
            points, bend, closed, curved = [(x.value, y.value)], [], False, False
        elif kind == raw.FPDF_SEGMENT_BEZIERTO:
            bend.append((x.value, y.value))
            curved = True
            if len(bend) == 3 and points:
                points += _chords([points[-1], *bend])
                bend = []
        else:
            points.append((x.value, y.value))
        if raw.FPDFPathSegment_GetClose(segment) and points:
            closed = True
            points.append(points[0])
    if points:
        yield points, closed, curved


def _chords(controls: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points along a cubic Bezier curve, without its first."""
    t = np.arange(1, _CHORDS + 1)[:, None] / _CHORDS
    a, b, c, d = (np.array(control) for control in controls)
    curve = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    return [*map(tuple, curve.tolist())]


def _colour(ask: Any, item: Any) -> tuple[int, int, int]:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    ask(item, red, green, blue, alpha)
    return red.value & 255, green.value & 255, blue.value & 255


def _clip(item: Any, to_picture: _Matrix, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box that all clips of an object leave of the picture."""
    import pypdfium2.raw as raw

    box = np.array([[-0.5, -0.5], [size[0] - 0.5, size[1] - 0.5]])
    clip = raw.FPDFPageObj_GetClipPath(item)
    x, y = ctypes.c_float(), ctypes.c_float()
    for number in range(max(0, raw.FPDFClipPath_CountPaths(clip))):
        corners = []
        for index in range(max(0, raw.FPDFClipPath_CountPathSegments(clip, number))):
            raw.FPDFPathSegment_GetPoint(raw.FPDFClipPath_GetPathSegment(clip, number, index), x, y)
            corners.append((x.value, y.value))
        if corners:
            seen = np.array(corners) @ to_picture[:2, :2].T + to_picture[:2, 2]
            box = np.array([np.maximum(box[0], seen.min(axis=0)), np.minimum(box[1], seen.max(axis=0))])
    return float(box[0, 0]), float(box[0, 1]), float(box[1, 0]), float(box[1, 1])


def _characters(page: Any, to_picture: _Matrix) -> Iterator[tuple[str, list[float]]]:
    import pypdfium2.raw as raw

    text = page.get_textpage()
    for index in range(min(text.count_chars(), MAX_CHARACTERS)):
        code = raw.FPDFText_GetUnicode(text, index)
        if not 0 < code <= sys.maxunicode or 0xD800 <= code < 0xE000:
            continue
        left, bottom, right, top = text.get_charbox(index, loose=True)
        corners = np.array([[left, bottom], [right, top]]) @ to_picture[:2, :2].T + to_picture[:2, 2]
        low, high = corners.min(axis=0), corners.max(axis=0)
        if not np.isfinite(corners).all():
            continue
        yield chr(code), [float(low[0]), float(low[1]), float(high[0]), float(high[1])]


if __name__ == "__main__":
    answer_apart(answer_paths)
