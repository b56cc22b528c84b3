"""Formats of page files: known by their first bytes, whatever a file is called.

The list is closed: what is not on it is not opened. Pictures that people do hand in and that are not read have a
sentence of their own, with what to do.
"""

import re
from pathlib import Path
from typing import Final

PDF: Final = "PDF"
SUFFIXES: Final = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    PDF: (".pdf",),
}
"""Format, as Pillow calls it -> endings by which a folder's pages are found; the first one is the usual one."""

PAGE_SUFFIXES: Final = frozenset(suffix for endings in SUFFIXES.values() for suffix in endings)

NAMES: Final = "PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000 or PDF"

HEAD_BYTES: Final = 1024
"""A PDF may begin anywhere in its first kilobyte."""

_SIGNATURES: Final = (
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]")),
    # "BM" begins texts, too; a bitmap goes on with its size and offsets, and the size of one of its known headers
    ("BMP", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)),
    ("WEBP", re.compile(rb"RIFF.{4}WEBPVP8", re.DOTALL)),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("JPEG2000", re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n")),
    (PDF, re.compile(rb"(?=.*%PDF-)", re.DOTALL)),
)
_NOT_READ: Final = (
    ("HEIC", re.compile(rb".{4}ftyp(hei|hev|mif1|msf1)", re.DOTALL)),
    ("AVIF", re.compile(rb".{4}ftypavi", re.DOTALL)),
    ("DICOM", re.compile(rb".{128}DICM", re.DOTALL)),
    ("PostScript", re.compile(rb"%!PS")),
    ("SVG", re.compile(rb"(?=.{0,500}<svg)", re.DOTALL)),
)
_NOT_READ_SUFFIXES: Final = {
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".avif": "AVIF",
    ".dcm": "DICOM",
    ".svg": "SVG",
    ".ps": "PostScript",
    ".eps": "PostScript",
}


def format_of(head: bytes) -> str | None:
    """The format of a file that begins so (HEAD_BYTES of it, or all), if it is one that is read."""
    return next((name for name, signature in _SIGNATURES if signature.match(head)), None)


def unread_format_of(head: bytes, suffix: str = "") -> str | None:
    """The format of a picture that is not read, by its first bytes or else by its ending; None for anything else."""
    by_content = next((name for name, signature in _NOT_READ if signature.match(head)), None)
    return by_content or _NOT_READ_SUFFIXES.get(suffix.lower())


def why_not_read(head: bytes, suffix: str) -> str:
    """What a file is whose format is not read, and what to do: the end of a sentence that begins with its name."""
    name = unread_format_of(head, suffix)
    if name is None:
        return f"is not an image that can be read ({NAMES})"
    return f"is {name}, which is not read: convert it to PNG or JPEG"


def read_head(path: Path) -> bytes:
    """The first HEAD_BYTES of a file; raises OSError."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
