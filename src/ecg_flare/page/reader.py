"""Page files become RGB images, one a page: for reading, for training, and for what looks pages over.

What decoding costs is checked in the header before a pixel is decoded (`page.image_files`), and what follows is done
in strips (`page.pixels`), so that neither a decompression bomb nor a poster-sized scan fills the memory. What is wrong
with a file is said in a PageError of one sentence. A file's first bytes say what it is, not its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from ecg_flare.errors import PageError
from ecg_flare.page.formats import PDF, SUFFIXES, format_of, read_head
from ecg_flare.page.image_files import count_images
from ecg_flare.page.jp2_files import read_jp2
from ecg_flare.page.page_list import PageFile, PageList, find_files, name_pages
from ecg_flare.page.pdf_files import count_pdf_pages, draw_pdf_page
from ecg_flare.page.pdf_paths import DrawnLines, read_pdf_paths
from ecg_flare.page.pixels import Pixels, read_pixels

PDF_DPI: Final = 250.0
LONGEST_PX: Final = 8000
"""Longer pages are shrunk: letter paper at 600 dpi has 6600 pixels."""

_MM_PER_INCH: Final = 25.4


@dataclass(frozen=True, eq=False)
class PageImage:
    """A page's pixels, and what was done to them on the way.

    Attributes:
        image: RGB, upright as its file says.
        warnings: what a person has to know.
        shape: height and width before it was shrunk, upright.
        orientation: EXIF orientation by which it was turned, 1 to 8.
        px_per_mm: resolution of `shape`, where the file has one that holds: a PDF's.
    """

    image: UInt8[np.ndarray, "h w 3"]
    warnings: tuple[str, ...] = ()
    shape: tuple[int, int] = (0, 0)
    orientation: int = 1
    px_per_mm: float | None = None


def read_page(page: PageFile) -> PageImage:
    """Read one page of a file.

    16-bit is brought to 8, grey to RGB, transparency is laid over white, and EXIF orientation is obeyed. PDF pages are
    drawn at 250 dpi. Pages longer than LONGEST_PX are shrunk, with a warning. Of an animation the first frame is read,
    with a warning.

    Raises:
        PageError: the file is missing, may not be read, is damaged, encrypted, empty, too large, or no image.
    """
    kind = _format(page.path)
    if kind == PDF:
        drawn = draw_pdf_page(page.path, page.number, dpi=PDF_DPI, longest_px=LONGEST_PX)
        return PageImage(drawn.image, (), drawn.image.shape[:2], px_per_mm=drawn.dpi / _MM_PER_INCH)
    if kind == "JPEG2000" and page.number == 1:
        pixels = read_jp2(page.path, longest_px=LONGEST_PX)
    else:
        pixels = read_pixels(page.path, page.number, longest_px=LONGEST_PX)
    return PageImage(pixels.image, tuple(_notes(pixels)), pixels.shape, pixels.orientation)


def read_lines(page: PageFile, picture: PageImage) -> DrawnLines | None:
    """The lines that a page's file draws, in the pixels of its picture; None for files that hold pixels alone.

    Raises PageError where they cannot be read, or are too many.
    """
    if picture.px_per_mm is None:
        return None
    return DrawnLines(read_pdf_paths(page.path, page.number, picture.shape), picture.px_per_mm)


def count_pages(path: Path) -> int:
    """Number of pages in a file; 1 when it cannot be told, so that reading it says why."""
    try:
        return max(1, count_pdf_pages(path) if _format(path) == PDF else count_images(path))
    except PageError:
        return 1


def list_pages(inputs: Sequence[str | Path]) -> PageList:
    """All pages of files, folders and globs, in order, each with a name of its own, and what was left out."""
    found = find_files(inputs)
    return PageList(name_pages([(path, count_pages(path)) for path in found.files]), found.left_out)


def _format(path: Path) -> str | None:
    """By its content; by its ending where the content says nothing of a PDF, so that reading it says what is wrong.

    Raises PageError where opening it would wait, or cannot succeed: a folder, a pipe, a device.
    """
    if path.is_dir():
        raise PageError(f"{path} is a folder, not a page")
    if path.exists() and not path.is_file():
        raise PageError(f"{path} is no regular file: copy the page into one")
    try:
        kind = format_of(read_head(path))
    except OSError:
        kind = None
    return PDF if kind is None and path.suffix.lower() in SUFFIXES[PDF] else kind


def _notes(pixels: Pixels) -> list[str]:
    notes = []
    height, width = pixels.shape
    if max(pixels.shape) > LONGEST_PX:
        found = f"{pixels.image.shape[1]} x {pixels.image.shape[0]}"
        notes.append(f"the picture of {width} x {height} pixels was shrunk to {found}")
    if pixels.more_frames:
        notes.append("the file holds more frames (an animation, or previews): the first one was read")
    return notes
