"""Page files: PNG, JPEG, TIFF, BMP and PDF become RGB images, one a page.

What decoding costs is checked in the header before a pixel is decoded (`page.image_files`), and what follows is done
in strips, so that neither a decompression bomb nor a poster-sized scan fills the memory. What is wrong with a file is
said in a PageError of one sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from ecg_flare.digitize.files.page_list import PDF_SUFFIX, PageFile, find_files, name_pages
from ecg_flare.errors import PageError
from ecg_flare.page.image_files import count_images, load_image, open_image, upright
from ecg_flare.page.pdf_files import count_pdf_pages, draw_pdf_page

PDF_DPI: Final = 250.0
LONGEST_PX: Final = 8000
"""Longer pages are shrunk: letter paper at 600 dpi has 6600 pixels."""

_REDUCED: Final = ("L", "RGB", "RGBA", "CMYK")
"""Modes that Pillow shrinks as they are; others become RGB first."""

_STRIP_PIXELS: Final = 1 << 21

_Pixels = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, eq=False)
class PageImage:
    """A page's pixels, RGB, upright as its file says, and what was done to them on the way."""

    image: UInt8[np.ndarray, "h w 3"]
    warnings: tuple[str, ...] = ()


def read_page(page: PageFile) -> PageImage:
    """Read one page of a file.

    16-bit is brought to 8, grey to RGB, transparency is laid over white, and EXIF orientation is obeyed. PDF pages are
    drawn at 250 dpi. Pages longer than LONGEST_PX are shrunk, with a warning.

    Raises:
        PageError: the file is missing, may not be read, is damaged, encrypted, empty, too large, or no image.
    """
    if page.path.is_dir():
        raise PageError(f"{page.path} is a folder, not a page")
    if _is_pdf(page.path):
        return PageImage(draw_pdf_page(page.path, page.number, dpi=PDF_DPI, longest_px=LONGEST_PX))
    return _read_raster(page)


def count_pages(path: Path) -> int:
    """Number of pages in a file; 1 when it cannot be told, so that reading it says why."""
    try:
        return max(1, count_pdf_pages(path) if _is_pdf(path) else count_images(path))
    except PageError:
        return 1


def list_pages(inputs: Sequence[str | Path]) -> tuple[PageFile, ...]:
    """All pages of files, folders and globs, in order, each with a name of its own (page_list.py)."""
    return name_pages([(path, count_pages(path)) for path in find_files(inputs)])


def _is_pdf(path: Path) -> bool:
    return path.suffix.lower() == PDF_SUFFIX


# --- raster files -------------------------------------------------------------------------------------------------


def _read_raster(page: PageFile) -> PageImage:
    with open_image(page.path, page.path, page=page.number) as picture:
        width, height = picture.size
        load_image(picture, page.path, longest_px=LONGEST_PX)
    left = -(-max(picture.size) // LONGEST_PX)
    if left > 1 and picture.mode in _REDUCED:
        picture, left = picture.reduce(left), 1
    pixels = _rgb(upright(picture, page.path), left)
    if max(width, height) <= LONGEST_PX:
        return PageImage(pixels)
    note = f"the picture of {width} x {height} pixels was shrunk to {pixels.shape[1]} x {pixels.shape[0]}"
    return PageImage(pixels, (note,))


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


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _full_scale(picture: Image.Image) -> float:
    """Full scale of more than 8 bits: the next power of two above the brightest pixel (10, 12, 16 bits)."""
    width, height = picture.size
    rows = max(1, _STRIP_PIXELS // width)
    strips = (picture.crop((0, top, width, min(top + rows, height))) for top in range(0, height, rows))
    brightest = max(float(_finite(strip).max()) for strip in strips)
    return 1.0 if brightest <= 1.0 else float(2 ** int(np.ceil(np.log2(brightest + 1.0))) - 1)


def _strip_from_deep(strip: Image.Image, full: float) -> _Pixels:
    eight = np.clip(_finite(strip) * (255.0 / full), 0, 255).round().astype(np.uint8)
    return np.repeat(eight[:, :, None], 3, axis=2)


def _finite(strip: Image.Image) -> Float64[np.ndarray, "h w"]:
    return np.nan_to_num(np.asarray(strip).astype(np.float64), posinf=0.0, neginf=0.0)
