"""Print on a page: text in four typefaces, and where it stands.

`sans` is the typeface that comes with Pillow; `serif` and `serif-bold` (STIX, like Times) and `mono`
(DejaVu) come with matplotlib.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw, ImageFont

from ecg_flare.errors import StorageError
from ecg_flare.page.style import FontName

_FILES: Final[dict[FontName, str]] = {
    "serif": "STIXGeneral.ttf",
    "serif-bold": "STIXGeneralBol.ttf",
    "mono": "DejaVuSansMono.ttf",
}


@dataclass(frozen=True)
class Text:
    """A line of print; (x_mm, y_mm) is the left, middle or right end of its base line, from the page's top left.

    With `spacing_mm` the line stands letter by letter, that far apart, from its left end on.
    """

    text: str
    x_mm: float
    y_mm: float
    size_mm: float
    align: Literal["left", "middle", "right"] = "left"
    spacing_mm: float = 0.0


def draw_texts(
    texts: Sequence[Text], font: FontName, px_per_mm: tuple[float, float], shape: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "h w"], tuple[Float64[np.ndarray, "4 2"], ...]]:
    """Return the ink of all texts (0 to 255) and the rectangle of each that left any, corners clockwise, in pixels."""
    sheet = Image.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(sheet)
    boxes = []
    for line in texts:
        size_px = max(line.size_mm * px_per_mm[1], 4.0)
        anchor = {"left": "ls", "middle": "ms", "right": "rs"}[line.align]
        position = (line.x_mm * px_per_mm[0] - 0.5, line.y_mm * px_per_mm[1] - 0.5)
        typeface = _typeface(font, round(size_px, 1))
        if line.spacing_mm:
            left, top, right, bottom = _spaced(draw, line.text, position, typeface, line.spacing_mm * px_per_mm[0])
        else:
            draw.text(position, line.text, fill=255, font=typeface, anchor=anchor)
            left, top, right, bottom = draw.textbbox(position, line.text, font=typeface, anchor=anchor)
        if right > left and bottom > top:
            boxes.append(rectangle(left - 0.5, top - 0.5, right - 0.5, bottom - 0.5))
    return np.asarray(sheet), tuple(boxes)


def rectangle(left: float, top: float, right: float, bottom: float) -> Float64[np.ndarray, "4 2"]:
    """Corners of an upright rectangle, clockwise from the top left."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def _spaced(
    draw: ImageDraw.ImageDraw,
    text: str,
    position: tuple[float, float],
    typeface: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    spacing_px: float,
) -> tuple[float, float, float, float]:
    """Draw letter by letter; returns the box around all of them."""
    x, y = position
    boxes = []
    for letter in text:
        draw.text((x, y), letter, fill=255, font=typeface, anchor="ls")
        boxes.append(draw.textbbox((x, y), letter, font=typeface, anchor="ls"))
        x += draw.textlength(letter, font=typeface) + spacing_px
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])


@lru_cache(maxsize=64)
def _typeface(font: FontName, size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if font == "sans":
        return ImageFont.load_default(size_px)
    return ImageFont.truetype(_font_folder() / _FILES[font], size_px)


@cache
def _font_folder() -> Path:
    # Found without importing matplotlib, which takes half a second.
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise StorageError("The typefaces 'serif' and 'mono' come with matplotlib, which is not installed.")
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
