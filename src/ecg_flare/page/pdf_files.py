"""PDF pages drawn in a process of their own, whose memory and time are bounded.

What a page will take cannot be known beforehand: pictures, their masks and patterns are decoded while it is drawn, and
a file of some kilobytes can ask for gigabytes. The process also keeps what kills it to itself.

The child writes a line of JSON (`pages`, or `height` and `width`, or `error`) and then the pixels, RGB.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from jaxtyping import UInt8

from ecg_flare.errors import PageError
from ecg_flare.page.tiff_header import MAX_PAGES

MAX_BYTES: Final = 1_200_000_000
"""Address space of the process that draws."""

MAX_SECONDS: Final = 120
"""Processor time of one page; a scan takes about one second."""

_POINTS_PER_INCH: Final = 72.0
_PASSWORD: Final = "assword"


def count_pdf_pages(path: Path) -> int:
    """Number of pages; raises PageError where the file cannot be read or has more than MAX_PAGES."""
    pages = int(_ask(path)[0]["pages"])
    if pages > MAX_PAGES:
        raise PageError(f"{path} has {pages} pages, expected at most {MAX_PAGES}: split it")
    return pages


def draw_pdf_page(path: Path, number: int, *, dpi: float, longest_px: int) -> UInt8[np.ndarray, "h w 3"]:
    """Page `number` (from 1) on white at `dpi`, or less so that no side is longer than `longest_px`.

    Raises PageError where the file is missing, empty, damaged, encrypted, has no such page, or takes too much memory
    or time.
    """
    said, pixels = _ask(path, str(number), str(dpi), str(longest_px))
    return np.frombuffer(pixels, np.uint8).reshape(said["height"], said["width"], 3)


def _ask(path: Path, *how: str) -> tuple[dict[str, Any], bytes]:
    try:
        if path.stat().st_size == 0:
            raise PageError(f"{path} is empty: it has no bytes")
        with path.open("rb") as file:
            command = [sys.executable, "-m", __name__, *how]
            done = subprocess.run(command, stdin=file, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise PageError(f"{path} does not exist") from error
    except PermissionError as error:
        raise PageError(f"{path} may not be read: permission denied") from error
    head, _, rest = done.stdout.partition(b"\n")
    if done.returncode != 0 or not head:
        raise PageError(
            f"{path} cannot be drawn within {MAX_BYTES / 1e9:.1f} GB of memory and {MAX_SECONDS} s, or is damaged: "
            "export its page as PNG"
        )
    said = json.loads(head)
    if "error" in said:
        raise PageError(f"{path} {said['error']}")
    return said, rest


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
            bitmap = sheet.render(scale=scale, fill_color=(255, 255, 255, 255), rev_byteorder=True)
            pixels = np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
            return {"height": pixels.shape[0], "width": pixels.shape[1]}, pixels.tobytes()
    except pdfium.PdfiumError as error:
        encrypted = _PASSWORD in str(error)
        return {"error": "is encrypted: save it without a password" if encrypted else f"is no sound PDF ({error})"}, b""


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer, pixels = answer_pdf(sys.stdin.buffer, sys.argv[1:])
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + pixels)


if __name__ == "__main__":
    _main()
