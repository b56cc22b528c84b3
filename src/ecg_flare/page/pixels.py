"""Pictures become RGB of 8 bits, upright, in strips: a strip is all that is ever held twice.

More than 8 bits are brought to 8 by the full scale of the picture, transparency is laid over white.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8, UInt16
from PIL import Image

from ecg_flare.page.deep_colour import decode_deep, is_deep_colour
from ecg_flare.page.fax_pixels import dots_a_line, with_square_dots
from ecg_flare.page.image_files import holds_more_frames, load_image, open_image, turned, upright

_REDUCED: Final = ("L", "RGB", "RGBA", "CMYK")
"""Modes that Pillow shrinks as they are; others become RGB first."""

_STRIP_PIXELS: Final = 1 << 21
_SIDEWAYS: Final = (5, 6, 7, 8)

_Pixels = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, eq=False)
class Pixels:
    """A decoded picture.

    Attributes:
        image: RGB, upright.
        shape: height and width before it was shrunk, upright; of a fax with oblong dots, after its lines were repeated.
        orientation: EXIF orientation by which it was turned, 1 to 8.
        more_frames: whether the file holds frames beside the first.
    """

    image: UInt8[np.ndarray, "h w 3"]
    shape: tuple[int, int]
    orientation: int = 1
    more_frames: bool = False


def read_pixels(path: Path, number: int, *, longest_px: int) -> Pixels:
    """Page `number` (from 1) of a file of pictures, shrunk by a whole number where a side is longer than `longest_px`.

    A fax that says that its dots are oblong gets square ones. Raises PageError where the file is missing, may not be
    read, is damaged, empty, too large, or no picture.
    """
    with open_image(path, path, page=number) as picture:
        more_frames = holds_more_frames(picture, path)
        width, height = picture.size
        deep_colour, oblong = is_deep_colour(picture), dots_a_line(picture)
        orientation = load_image(picture, path, longest_px=longest_px)
        # Pillow's TIFF has the size that it will have once it is turned.
        if orientation in _SIDEWAYS and picture.format != "TIFF":
            width, height = height, width
    left = -(-max(picture.size) // longest_px)
    if deep_colour and (deep := decode_deep(path, number, picture)) is not None:
        return Pixels(_deep_rgb(deep, orientation, left), (height, width), orientation, more_frames)
    if left > 1 and picture.mode in _REDUCED:
        picture, left = picture.reduce(left), 1
    image = _rgb(upright(picture, path), left)
    if oblong > 1.0 and orientation not in _SIDEWAYS and max(round(height * oblong), width) <= longest_px:
        image = with_square_dots(image, oblong)
        height = len(image)
    return Pixels(image, (height, width), orientation, more_frames)


def _rgb(picture: Image.Image, shrink: int) -> _Pixels:
    """The picture in RGB, shrunk by a whole number, strip by strip: a strip is all that is ever held twice."""
    width, height = picture.size
    result = np.empty((_shrunk(height, shrink), _shrunk(width, shrink), 3), np.uint8)
    full = _full_scale(picture) if _is_deep(picture) else 0.0
    # Twice the factor, so that a half in the size of the last strip is rounded as it is in that of the whole.
    rows = max(1, _STRIP_PIXELS // (width * 2 * shrink)) * 2 * shrink
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        pixels = _strip_from_deep(strip, full) if full else _strip_rgb(strip)
        part = result[top // shrink : min(top // shrink + rows // shrink, len(result))]
        if len(part):
            part[:] = pixels if shrink == 1 else _averaged(pixels, shrink, part.shape[:2])
    return result


def _shrunk(length: int, shrink: int) -> int:
    return max(1, round(length * (1 / shrink)))


def _averaged(pixels: _Pixels, shrink: int, shape: tuple[int, int]) -> _Pixels:
    factor = 1 / shrink
    if tuple(round(length * factor) for length in pixels.shape[:2]) == shape:
        return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _strip_rgb(strip: Image.Image) -> _Pixels:
    if "A" in strip.getbands() or "transparency" in strip.info:
        layered = strip.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return np.asarray(Image.alpha_composite(white, layered).convert("RGB"))
    return np.asarray(strip.convert("RGB"))


def _deep_rgb(deep: UInt16[np.ndarray, "h w c"], orientation: int, shrink: int) -> _Pixels:
    full = _power_of_two(float(deep[:, :, :3].max()))
    opaque = _power_of_two(float(deep[:, :, 3].max())) if deep.shape[2] == 4 else 0.0
    eight = np.empty((*deep.shape[:2], 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // deep.shape[1])
    for top in range(0, len(deep), rows):
        strip = deep[top : top + rows].astype(np.float32)
        colour = strip[:, :, :3] * (255.0 / full)
        if opaque:
            colour = 255.0 + (colour - 255.0) * (strip[:, :, 3:] / opaque)
        eight[top : top + rows] = colour.round()
    return _rgb(turned(Image.fromarray(eight), orientation), shrink)


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _full_scale(picture: Image.Image) -> float:
    """Full scale of more than 8 bits: the next power of two above the brightest pixel (10, 12, 16 bits)."""
    width, height = picture.size
    rows = max(1, _STRIP_PIXELS // width)
    strips = (picture.crop((0, top, width, min(top + rows, height))) for top in range(0, height, rows))
    brightest = max(float(_finite(strip).max()) for strip in strips)
    return _power_of_two(brightest)


def _power_of_two(brightest: float) -> float:
    return 1.0 if brightest <= 1.0 else float(2 ** int(np.ceil(np.log2(brightest + 1.0))) - 1)


def _strip_from_deep(strip: Image.Image, full: float) -> _Pixels:
    eight = np.clip(_finite(strip) * (255.0 / full), 0, 255).round().astype(np.uint8)
    return np.repeat(eight[:, :, None], 3, axis=2)


def _finite(strip: Image.Image) -> Float64[np.ndarray, "h w"]:
    return np.nan_to_num(np.asarray(strip).astype(np.float64), posinf=0.0, neginf=0.0)
