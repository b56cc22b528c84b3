"""PDF pages drawn in a process of their own, whose memory and time are bounded.

What a page will take cannot be known beforehand: pictures, their masks and patterns are decoded while it is drawn, and
a file of some kilobytes can ask for gigabytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from jaxtyping import UInt8

from ecg_flare.errors import PageError
from ecg_flare.page.apart import answer_apart, ask_apart
from ecg_flare.page.tiff_header import MAX_PAGES

_POINTS_PER_INCH: Final = 72.0
_PASSWORD: Final = "assword"


@dataclass(frozen=True, eq=False)
class DrawnPage:
    """A page drawn on white, RGB, and how many pixels an inch of its paper has."""

    image: UInt8[np.ndarray, "h w 3"]
    dpi: float


def count_pdf_pages(path: Path) -> int:
    """Number of pages; raises PageError where the file cannot be read or has more than MAX_PAGES."""
    pages = int(ask_apart(__name__, path, ())[0]["pages"])
    if pages > MAX_PAGES:
        raise PageError(f"{path} has {pages} pages, expected at most {MAX_PAGES}: split it")
    return pages


def draw_pdf_page(path: Path, number: int, *, dpi: float, longest_px: int) -> DrawnPage:
    """Page `number` (from 1) on white at `dpi`, or less so that no side is longer than `longest_px`.

    Raises PageError where the file is missing, empty, damaged, encrypted, has no such page, or takes too much memory
    or time.
    """
    said, pixels = ask_apart(__name__, path, (str(number), str(dpi), str(longest_px)))
    return DrawnPage(np.frombuffer(pixels, np.uint8).reshape(said["height"], said["width"], 3), float(said["dpi"]))


def answer_pdf(file: IO[bytes], arguments: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """What the child answers: `pages` without arguments, else the page's `height`, `width` and pixels; or `error`."""
    import pypdfium2 as pdfium

    try:
        with pdfium.PdfDocument(file, autoclose=False) as document:
            if not arguments:
                return {"pages": len(document)}, b""
            number, dpi, longest_px = int(arguments[0]), float(arguments[1]), int(arguments[2])
            if number > len(document):
                return {"error": f"has {len(document)} pages; page {number} was asked for"}, b""
            sheet = document[number - 1]
            scale = min(dpi / _POINTS_PER_INCH, longest_px / max(*sheet.get_size(), 1.0))
            # Sizes are rounded up: of 120.0000001 pixels it would draw 121.
            bitmap = sheet.render(scale=scale * (1 - 1e-6), fill_color=(255, 255, 255, 255), rev_byteorder=True)
            pixels = np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
            said = {"height": pixels.shape[0], "width": pixels.shape[1], "dpi": scale * _POINTS_PER_INCH}
            return said, pixels.tobytes()
    except pdfium.PdfiumError as error:
        encrypted = _PASSWORD in str(error)
        return {"error": "is encrypted: save it without a password" if encrypted else f"is no sound PDF ({error})"}, b""


if __name__ == "__main__":
    answer_apart(answer_pdf)
