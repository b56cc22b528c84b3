"""Picture files of others: what it will cost to decode one is known from its header, and bounded, before it is decoded.

A few kilobytes can promise gigabytes. What a picture takes is its pixels as the decoder holds them, by mode, and what
the decoder holds beside them, by format; MAX_DECODED_BYTES bounds the sum, so that reading a page stays below 1.5 GB
with all that follows (`page.pixels` converts in strips). Bytes a pixel were measured:
`python -m benchmarks.picture_memory`.

Only the decoder of the format that the first bytes name is asked (`page.formats`): each decoder less is one less to
attack, and Pillow would hand an EPS file to Ghostscript.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from ecg_flare.errors import PageError
from ecg_flare.page.formats import HEAD_BYTES, NAMES, PDF, format_of, why_not_read
from ecg_flare.page.gif_header import frame_size
from ecg_flare.page.jp2_header import codestream_size
from ecg_flare.page.png_header import check_chunks
from ecg_flare.page.tiff_header import MAX_PAGES, check_directories
from ecg_flare.page.webp_header import canvas_size

MAX_PIXELS: Final = 420_000_000
"""A4 at 1200 dpi has 140 million."""

MAX_SIDE_PX: Final = 65_535
"""The longest side that JPEG can have; no page is longer."""

MAX_DECODED_BYTES: Final = 1_200_000_000
"""What decoding a picture may take: with a result of 8000 x 8000 pixels, strips and libraries, 1.5 GB."""

_STORED_BYTES: Final = {"1": 1, "L": 1, "P": 1}
"""Bytes a pixel in Pillow's memory; 2 for 16-bit grey, 4 for all others."""

_ORIENTATION: Final = 0x0112

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_WEBP_BYTES: Final = 18
_JP2_BYTES: Final = 10
"""Bytes a pixel, and for JPEG 2000 a component, that the decoders take beside Pillow's own."""

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
def open_image(path: Path, name: str | Path, *, page: int = 1) -> Iterator[Image.Image]:
    """A picture whose header was read and whose size is within bounds; nothing of it is decoded (`load_image` does).

    Its format is that of its first bytes. `name` is what messages call it, `page` counts from 1 in a file of several.

    Raises PageError where it is missing, may not be read, is empty, damaged, of a format that is not read, or too
    large.
    """
    with _explained(name):
        file: IO[bytes] = path.open("rb")
    with file:
        with _explained(name), _own_limit():
            kind = _kind(file, path, name)
            claimed = _check_header(file, kind, name, page)
            file.seek(0)
            picture = Image.open(file, formats=(kind,))
            if page > 1:
                picture.seek(page - 1)
            _check_size(picture.size, name)
            if claimed is not None and claimed != picture.size:
                raise PageError(
                    f"{name} is damaged: its boxes say {picture.width} x {picture.height} pixels, its codestream has "
                    f"{claimed[0]} x {claimed[1]}"
                )
        yield picture


def _kind(file: IO[bytes], path: Path, name: str | Path) -> str:
    head = file.read(HEAD_BYTES)
    if not head:
        raise PageError(f"{name} is empty: it has no bytes")
    kind = format_of(head)
    if kind is None or kind == PDF:
        raise PageError(f"{name} {why_not_read(head, path.suffix)}")
    return kind


def _check_header(file: IO[bytes], kind: str, name: str | Path, page: int) -> tuple[int, int] | None:
    """What must be known of a file before a library opens it: some make room for what a header claims.

    Gives the size of a JPEG 2000 codestream, which Pillow need not look at.
    """
    if page > 1 and kind != "TIFF":
        raise PageError(f"{name} has 1 page; page {page} was asked for")
    match kind:
        case "PNG":
            check_chunks(file, str(name))
        case "TIFF":
            check_directories(file, str(name), page=page)
        case "GIF":
            _check_cost(kind, "P", frame_size(file, str(name)), name)
        case "WEBP":
            _check_cost(kind, "RGBA", canvas_size(file, str(name)), name)
        case "JPEG2000":
            return codestream_size(file, str(name))
    return None


def _check_cost(kind: str, mode: str, size: tuple[int, int], name: str | Path) -> None:
    _check_size(size, name)
    taken = decoding_bytes(kind, mode, size, size, shrinks=False)
    if taken > MAX_DECODED_BYTES:
        raise _too_large(name, size, mode, taken)


def load_image(picture: Image.Image, name: str | Path, *, longest_px: int) -> int:
    """Decode what `open_image` gave, where that is within bounds; gives its EXIF orientation, 1 to 8.

    A JPEG is decoded small as far as both sides stay at least as long as those of the picture shrunk to `longest_px`
    by a whole number. Raises PageError where it would take too much memory, or is damaged or cut short.
    """
    check_decoding(picture, name, longest_px=longest_px)
    with _explained(name), _own_limit():
        stated = _orientation(picture) if picture.format == "TIFF" else 0  # Pillow turns a TIFF, and forgets it
        picture.load()
        picture.getexif()  # of a TIFF it is read from the file
        return stated or _orientation(picture)  # a PNG is decoded to know it


def check_decoding(picture: Image.Image, name: str | Path, *, longest_px: int) -> None:
    """Refuse what would take more than MAX_DECODED_BYTES to decode, and prepare a JPEG to be decoded small."""
    size = picture.size
    shrink = -(-max(size) // longest_px)
    with _explained(name), _own_limit():
        if shrink > 1 and picture.format == "JPEG":
            picture.draft("RGB", (max(1, size[0] // shrink), max(1, size[1] // shrink)))
        taken = decoding_bytes(picture.format, picture.mode, size, picture.size, shrinks=shrink > 1)
        if taken > MAX_DECODED_BYTES:
            raise _too_large(name, size, picture.mode, taken)


def _orientation(picture: Image.Image) -> int:
    found = picture.tag_v2 if isinstance(picture, TiffImageFile) else picture.getexif()
    turned = found.get(_ORIENTATION, 1)
    return turned if turned in range(1, 9) else 1


def turned(picture: Image.Image, orientation: int) -> Image.Image:
    """The picture as an EXIF orientation (1 to 8) says that it is to be shown."""
    return picture if orientation == 1 else picture.transpose(_TURNS[orientation])


def upright(picture: Image.Image, name: str | Path) -> Image.Image:
    """The decoded picture turned by its EXIF orientation; the same one where it has none, or is turned already."""
    with _explained(name), _own_limit():
        return ImageOps.exif_transpose(picture) if picture.getexif().get(_ORIENTATION, 1) != 1 else picture


def holds_more_frames(picture: Image.Image, name: str | Path) -> bool:
    """Whether a picture that is not decoded yet has frames beside the first: an animation, previews, maps of depth."""
    with _explained(name), _own_limit():
        return picture.format != "TIFF" and bool(getattr(picture, "is_animated", False))


def count_images(path: Path) -> int:
    """Number of pages in a file of pictures; raises PageError where it cannot be read or has more than MAX_PAGES.

    Only a TIFF has several: of an animation, or of a photograph with previews, the first frame is the page.
    """
    with open_image(path, path) as picture:
        if picture.format != "TIFF":
            return 1
    with _explained(path), path.open("rb") as file:
        pages = check_directories(file, str(path), page=MAX_PAGES + 1)
    if pages > MAX_PAGES:
        raise PageError(f"{path} has more than {MAX_PAGES} pages: split it")
    return max(1, pages)


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
        case "GIF":  # what the frame leaves behind is made ready while the file is opened
            decoder = pixels
        case "WEBP":  # two canvases, the frame, and a copy of it on the way to Pillow
            decoder = pixels * _WEBP_BYTES
        case "JPEG2000":  # coefficients of 32 bits, which a second pass reads
            decoder = pixels * _JP2_BYTES * Image.getmodebands(mode)
    # Turning it by its orientation, or making transparency ready to be shrunk, is a copy of what was decoded.
    copied = stored if mode not in ("L", "RGB", "CMYK") or not shrinks else 0
    return stored + max(decoder, copied)


def _check_size(size: tuple[int, int], name: str | Path) -> None:
    width, height = size
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
        raise PageError(f"{name} is not an image that can be read ({NAMES})") from error
    except _DAMAGE as error:
        raise PageError(f"{name} is damaged or cut short: {error}") from error
