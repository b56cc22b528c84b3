"""Picture files of others: what it will cost to decode one is known from its header, and bounded, before it is decoded.

A few kilobytes can promise gigabytes. What a picture takes is its pixels as the decoder holds them, by mode, and what
the decoder holds beside them, by format; MAX_DECODED_BYTES bounds the sum, so that reading a page stays below 1.5 GB
with all that follows (`digitize.files.reader` converts in strips). Bytes a pixel were measured:
`python -m benchmarks.picture_memory`.

Formats that nobody promised to read are not opened at all: each decoder less is one less to attack, and Pillow would
hand an EPS file to Ghostscript.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Final

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from ecg_flare.errors import PageError
from ecg_flare.page.png_header import check_chunks
from ecg_flare.page.tiff_header import MAX_PAGES, check_directories

MAX_PIXELS: Final = 420_000_000
"""A4 at 1200 dpi has 140 million."""

MAX_SIDE_PX: Final = 65_535
"""The longest side that JPEG can have; no page is longer."""

MAX_DECODED_BYTES: Final = 1_200_000_000
"""What decoding a picture may take: with a result of 8000 x 8000 pixels, strips and libraries, 1.5 GB."""

_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP")
_STORED_BYTES: Final = {"1": 1, "L": 1, "P": 1}
"""Bytes a pixel in Pillow's memory; 2 for 16-bit grey, 4 for all others."""

_ORIENTATION: Final = 0x0112

_CV2_BYTES: Final = 10
"""Bytes a pixel while OpenCV decodes a TIFF; of other formats it takes 6. Masks are made of the result in 9."""

# What Pillow's decoders let through where a file is damaged; none of them says more than that it is.
_DAMAGE: Final = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    NotImplementedError,
    struct.error,
    Image.DecompressionBombError,
)


@contextmanager
def open_image(source: Path | bytes, name: str | Path, *, page: int = 1) -> Iterator[Image.Image]:
    """A picture whose header was read and whose size is within bounds; nothing of it is decoded (`load_image` does).

    `name` is what messages call it, `page` counts from 1 in a file of several.

    Raises PageError where it is missing, may not be read, is empty, damaged, of a format that is not read, or too
    large.
    """
    with _explained(name):
        file: IO[bytes] = BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    with file:
        with _explained(name), _own_limit():
            if not file.read(1):
                raise PageError(f"{name} is empty: it has no bytes")
            check_chunks(file, str(name))
            check_directories(file, str(name), page=page)
            file.seek(0)
            picture = Image.open(file, formats=_FORMATS)
            if page > 1:
                picture.seek(page - 1)
            _check_size(picture, name)
        yield picture


def load_image(picture: Image.Image, name: str | Path, *, longest_px: int) -> None:
    """Decode what `open_image` gave, where that is within bounds.

    A JPEG is decoded small as far as both sides stay at least as long as those of the picture shrunk to `longest_px`
    by a whole number. Raises PageError where it would take too much memory, or is damaged or cut short.
    """
    size = picture.size
    shrink = -(-max(size) // longest_px)
    with _explained(name), _own_limit():
        if shrink > 1 and picture.format == "JPEG":
            picture.draft("RGB", (max(1, size[0] // shrink), max(1, size[1] // shrink)))
        taken = decoding_bytes(picture.format, picture.mode, size, picture.size, shrinks=shrink > 1)
        if taken > MAX_DECODED_BYTES:
            raise _too_large(name, size, picture.mode, taken)
        picture.load()
        picture.getexif()  # of a TIFF it is read from the file


def upright(picture: Image.Image, name: str | Path) -> Image.Image:
    """The picture turned by its EXIF orientation; the same one where it has none."""
    with _explained(name), _own_limit():
        return ImageOps.exif_transpose(picture) if picture.getexif().get(_ORIENTATION, 1) != 1 else picture


def count_images(path: Path) -> int:
    """Number of pages in a file of pictures; raises PageError where it cannot be read or has more than MAX_PAGES."""
    with open_image(path, path) as picture:
        frames = 1  # also of an animation
        if picture.format == "MPO":
            frames = int(getattr(picture, "n_frames", 1))
    with _explained(path), path.open("rb") as file:
        frames = max(frames, check_directories(file, str(path), page=MAX_PAGES + 1))
    if frames > MAX_PAGES:
        raise PageError(f"{path} has more than {MAX_PAGES} pages: split it")
    return frames


def read_image(path: Path, mode: int) -> UInt8[np.ndarray, "h w *c"]:
    """`decode_image` of a file; raises PageError also where it is missing or may not be read."""
    with _explained(path):
        data = path.read_bytes()
    return decode_image(data, mode, path)


def decode_image(data: bytes, mode: int, name: str | Path) -> UInt8[np.ndarray, "h w *c"]:
    """A picture as OpenCV decodes it (`mode` is one of cv2's IMREAD flags), where that is within bounds.

    Raises PageError where it is empty, damaged, of a format that is not read, or would take too much memory.
    """
    with open_image(data, name) as picture:
        width, height = picture.size
        taken = width * height * _CV2_BYTES + len(data)
        if taken > MAX_DECODED_BYTES:
            raise _too_large(name, picture.size, picture.mode, taken)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except cv2.error as error:
        raise PageError(f"{name} is damaged or cut short: {error.err}") from error
    if pixels is None:
        raise PageError(f"{name} is damaged or cut short ({len(data)} bytes)")
    return np.asarray(pixels, np.uint8)


def decoding_bytes(
    kind: str | None, mode: str, size: tuple[int, int], decoded: tuple[int, int], *, shrinks: bool
) -> int:
    """The most that a picture of `size` takes while it is decoded to `decoded` and turned upright.

    `kind` and `mode` are Pillow's; `shrinks` says that it will be shrunk after that.
    """
    pixels, decoder = decoded[0] * decoded[1], 0
    stored = pixels * (2 if mode.startswith("I;16") else _STORED_BYTES.get(mode, 4))
    match kind:
        case "JPEG" | "MPO":  # a progressive one keeps all its coefficients
            decoder = size[0] * size[1] * 2 * Image.getmodebands(mode)
        case "TIFF":  # one strip may hold the whole picture, which is turned while that is there
            decoder = 2 * stored
        case "BMP":
            decoder = pixels * Image.getmodebands(mode)
    # Turning it by its orientation, or making transparency ready to be shrunk, is a copy of what was decoded.
    copied = stored if mode not in ("L", "RGB", "CMYK") or not shrinks else 0
    return stored + max(decoder, copied)


def _check_size(picture: Image.Image, name: str | Path) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise PageError(
            f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS // 1_000_000} million that fit in "
            "memory: scan it at 300 dpi"
        )
    if max(width, height) > MAX_SIDE_PX:
        raise PageError(f"{name} has {width} x {height} pixels, a side longer than {MAX_SIDE_PX}: cut it into pages")


def _too_large(name: str | Path, size: tuple[int, int], mode: str, taken: int) -> PageError:
    return PageError(
        f"{name} has {size[0]} x {size[1]} pixels of mode {mode}, which take {taken / 1e9:.1f} GB to decode, more "
        f"than the {MAX_DECODED_BYTES / 1e9:.1f} GB that are allowed: scan it at 300 dpi, or with 8 bits and no alpha"
    )


@contextmanager
def _own_limit() -> Iterator[None]:
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS decides, with a message of its own
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _explained(name: str | Path) -> Iterator[None]:
    """Turn what Pillow raises into a PageError that says what is wrong with the file."""
    try:
        yield
    except PageError:
        raise
    except FileNotFoundError as error:
        raise PageError(f"{name} does not exist") from error
    except PermissionError as error:
        raise PageError(f"{name} may not be read: permission denied") from error
    except IsADirectoryError as error:
        raise PageError(f"{name} is a folder, not a page") from error
    except UnidentifiedImageError as error:
        raise PageError(f"{name} is not an image that can be read (PNG, JPEG, TIFF, BMP or PDF)") from error
    except _DAMAGE as error:
        raise PageError(f"{name} is damaged or cut short: {error}") from error
