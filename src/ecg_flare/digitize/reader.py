"""Page files: PNG, JPEG, TIFF, BMP and PDF become RGB images, one a page.

Sizes are checked in the header before a pixel is decoded, so that neither a decompression bomb nor a poster-sized scan
fills the memory. What is wrong with a file is said in a PageError of one sentence.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pypdfium2 as pdfium
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from ecg_flare.digitize.sources import PDF_SUFFIX, PageFile, find_files, name_pages
from ecg_flare.errors import PageError

PDF_DPI: Final = 250.0
LONGEST_PX: Final = 8000
"""Longer pages are shrunk: letter paper at 600 dpi has 6600 pixels."""

MOST_PIXELS: Final = 420_000_000
"""Pillow needs four bytes a pixel; this stays under 1.7 GB. A4 at 1200 dpi has 140 million."""

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
    with _explained(page.path):
        if page.path.is_dir():
            raise PageError(f"{page.path} is a folder, not a page")
        if page.path.suffix.lower() == PDF_SUFFIX:
            return _read_pdf(page)
        return _read_raster(page)


def count_pages(path: Path) -> int:
    """Number of pages in a file; 1 when it cannot be told, so that reading it says why."""
    try:
        with _explained(path):
            if path.suffix.lower() == PDF_SUFFIX:
                with pdfium.PdfDocument(path) as document:
                    return max(1, len(document))
            with Image.open(path) as picture:
                return max(1, int(getattr(picture, "n_frames", 1)))
    except PageError:
        return 1


def list_pages(inputs: Sequence[str | Path]) -> tuple[PageFile, ...]:
    """All pages of files, folders and globs, in order, each with a name of its own (sources.py)."""
    return name_pages([(path, count_pages(path)) for path in find_files(inputs)])


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the libraries raise into a PageError that says what is wrong with the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise PageError(f"{path} does not exist") from error
    except PermissionError as error:
        raise PageError(f"{path} may not be read: permission denied") from error
    except UnidentifiedImageError as error:
        raise PageError(f"{path} is not an image that can be read (PNG, JPEG, TIFF, BMP or PDF)") from error
    except pdfium.PdfiumError as error:
        reason = "is encrypted: save it without a password" if "assword" in str(error) else f"is no sound PDF ({error})"
        raise PageError(f"{path} {reason}") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise PageError(f"{path} is damaged or cut short: {error}") from error


# --- raster files -------------------------------------------------------------------------------------------------


def _read_raster(page: PageFile) -> PageImage:
    if page.path.stat().st_size == 0:
        raise PageError(f"{page.path} is empty: it has no bytes")
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None  # MOST_PIXELS decides, with a message of its own
    try:
        with Image.open(page.path) as picture:
            if page.number > 1:
                picture.seek(page.number - 1)
            return _decode(picture, page.path)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _decode(picture: Image.Image, path: Path) -> PageImage:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise PageError(
            f"{path} has {width} x {height} pixels, more than the {MOST_PIXELS // 1_000_000} million that fit in "
            "memory: scan it at 300 dpi"
        )
    shrink = -(-max(width, height) // LONGEST_PX)
    if shrink > 1 and picture.format == "JPEG":
        picture.draft("RGB", (width // shrink, height // shrink))  # JPEG can be decoded small
    picture.load()
    left = -(-max(picture.size) // LONGEST_PX)
    small = picture.reduce(left) if left > 1 and picture.mode in ("L", "RGB", "RGBA", "CMYK") else picture
    pixels = _rgb(ImageOps.exif_transpose(small))
    if max(pixels.shape) > LONGEST_PX:
        pixels = np.ascontiguousarray(cv2.resize(pixels, None, fx=1 / left, fy=1 / left, interpolation=cv2.INTER_AREA))
    if shrink == 1:
        return PageImage(pixels)
    note = f"the picture of {width} x {height} pixels was shrunk to {pixels.shape[1]} x {pixels.shape[0]}"
    return PageImage(pixels, (note,))


def _rgb(picture: Image.Image) -> _Pixels:
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return _from_deep(np.asarray(picture))
    if "A" in picture.getbands() or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return np.asarray(Image.alpha_composite(white, layered).convert("RGB"))
    return np.asarray(picture.convert("RGB"))


def _from_deep(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> _Pixels:
    """Grey of more than 8 bits: full scale is the next power of two above the brightest pixel (10, 12, 16 bits)."""
    grey = np.nan_to_num(values.astype(np.float64))
    brightest = float(grey.max())
    full = 1.0 if brightest <= 1.0 else float(2 ** int(np.ceil(np.log2(brightest + 1.0))) - 1)
    eight = np.clip(grey * (255.0 / full), 0, 255).round().astype(np.uint8)
    return np.repeat(eight[:, :, None], 3, axis=2)


# --- PDF ----------------------------------------------------------------------------------------------------------


def _read_pdf(page: PageFile) -> PageImage:
    if page.path.stat().st_size == 0:
        raise PageError(f"{page.path} is empty: it has no bytes")
    with pdfium.PdfDocument(page.path) as document:
        if len(document) == 0:
            raise PageError(f"{page.path} is a PDF without pages")
        if page.number > len(document):
            raise PageError(f"{page.path} has {len(document)} pages; page {page.number} was asked for")
        sheet = document[page.number - 1]
        width, height = sheet.get_size()
        scale = min(PDF_DPI / 72.0, LONGEST_PX / max(width, height, 1.0))
        pixels = sheet.render(scale=scale, fill_color=(255, 255, 255, 255), rev_byteorder=True).to_numpy()
        return PageImage(np.ascontiguousarray(pixels[:, :, :3]))
