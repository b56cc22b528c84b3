"""Page files: pictures of every format that somebody may hand in, and PDF."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.fuzz.mutation import change_bytes
from benchmarks.fuzz.runs import Parser
from ecg_flare.digitize.by_lines import read_by_lines
from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.errors import PageError
from ecg_flare.page.mask_files import read_mask
from ecg_flare.page.pdf_files import answer_pdf
from ecg_flare.page.pdf_paths import DrawnLines, answer_paths, paths_of
from ecg_flare.page.pixels import read_pixels
from ecg_flare.page.reader import LONGEST_PX, count_pages

_SIZE: Final = (24, 16)
_MODES: Final = {
    "PNG": ("1", "L", "P", "LA", "I;16", "RGB", "RGBA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "TIFF": ("1", "L", "P", "I;16", "I", "F", "RGB", "RGBA", "CMYK"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("L", "P", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
    "JPEG2000": ("L", "I;16", "LA", "RGB", "RGBA"),
}
_OPTIONS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "JPEG": ({}, {"progressive": True}),
    "TIFF": ({}, {"compression": "tiff_adobe_deflate"}, {"compression": "tiff_lzw"}, {"save_all": True}),
    "WEBP": ({}, {"lossless": True}),
    "JPEG2000": ({}, {"tile_size": (16, 16)}, {"no_jp2": True}),
}
_ODD_SIDES: Final = (0, 1, 3, 9000, 30_000, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)


def _picture(mode: str) -> Image.Image:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (_SIZE[1], _SIZE[0], 4), np.uint8)
    if mode in ("I;16", "I", "F"):
        return Image.fromarray(values[:, :, 0].astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    colour = Image.fromarray(values, "RGBA")
    return colour if mode == "RGBA" else colour.convert("LA" if mode == "LA" else "RGB").convert(mode)


def _samples(kind: str) -> Callable[[], Sequence[bytes]]:
    @cache
    def samples() -> tuple[bytes, ...]:
        return tuple(_encoded(kind))

    return samples


def _encoded(kind: str) -> Iterator[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode in _MODES[kind]:
        for options in _OPTIONS.get(kind, ({},)):
            file = io.BytesIO()
            more = {"exif": exif} if kind in ("PNG", "JPEG", "TIFF", "WEBP") else {}
            try:
                _picture(mode).save(file, kind, **options, **more)
            except OSError:  # not every compression of TIFF takes every mode
                continue
            yield file.getvalue()


def _read(data: bytes, folder: Path) -> None:
    path = folder / "page.png"
    path.write_bytes(data)
    count_pages(path)
    with suppress(PageError):  # noise is no mask
        read_mask(path)
    read_pixels(path, 1, longest_px=LONGEST_PX)


def change_png(rng: np.random.Generator, data: bytes) -> bytes:
    """Changes within chunks, whose checksums are then right again, and chunks added, dropped and moved."""
    if rng.random() < 0.3:
        return change_bytes(rng, data)
    chunks = list(_chunks(data))
    at = int(rng.integers(len(chunks)))
    kind, body = chunks[at]
    match int(rng.integers(7)):
        case 0 | 1:
            size = [int(rng.choice(_ODD_SIDES)) if rng.random() < 0.6 else side for side in _SIZE]
            chunks[0] = chunks[0][0], struct.pack(">II", *size) + chunks[0][1][8:]
        case 2:
            chunks[0] = chunks[0][0], chunks[0][1][:8] + bytes(rng.integers(0, 17, 5, np.uint8))
        case 3:
            chunks[at] = kind, change_bytes(rng, body)
        case 4:
            bomb = zlib.compress(bytes(int(rng.integers(1, 50)) * 1_000_000))
            name = (b"zTXt", b"iCCP", b"iTXt")[int(rng.integers(3))]
            chunks.insert(1, (name, b"a\x00\x00" + (b"\x01\x00\x00\x00" if name == b"iTXt" else b"") + bomb))
        case 5:
            del chunks[at]
        case _:
            name = (b"acTL", b"fcTL", b"fdAT", b"eXIf", b"tRNS", b"PLTE", b"IHDR", b"gAMA")[int(rng.integers(8))]
            chunks.insert(at, (name, rng.integers(0, 256, int(rng.integers(0, 40)), np.uint8).tobytes()))
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:8] + b"".join(packed)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def change_tiff(rng: np.random.Generator, data: bytes) -> bytes:
    """Changes of the first directory's entries: counts, kinds, values, tags twice; or of the bytes."""
    if rng.random() < 0.4:
        return change_bytes(rng, data)
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        entry = at + 2 + 12 * int(rng.integers(count))
        value = int(rng.choice(_ODD_SIDES)) % 2**32
        match int(rng.integers(5)):
            case 0:
                struct.pack_into(order + "I", changed, entry + 8, value)
            case 1:
                struct.pack_into(order + "I", changed, entry + 4, value)
            case 2:
                struct.pack_into(order + "H", changed, entry + 2, int(rng.integers(0, 20)))
            case 3:
                struct.pack_into(order + "H", changed, entry, int(rng.choice((256, 257, 258, 259, 273, 277, 278, 322))))
            case _:
                struct.pack_into(order + "I", changed, at + 2 + 12 * count, int(rng.choice((at, 0, 4, value))))
    return bytes(changed)


@cache
def _pdfs() -> tuple[bytes, ...]:
    file = io.BytesIO()
    _picture("RGB").save(file, "PDF")
    return file.getvalue(), pdf_file(b"q 1 0 0 RG 10 10 m 90 90 l S Q BT /F1 12 Tf 20 20 Td (ECG) Tj ET")


@cache
def _drawn_pdfs() -> tuple[bytes, ...]:
    """A grid with three rows of lines, one with a curve, one clipped, one drawn as an area."""
    grid = " ".join(f"{at} 0 m {at} 792 l 0 {at} m 612 {at} l" for at in range(0, 612, 6))
    wave = " ".join(f"{50 + at} {300 + at % 40} l" for at in range(500))
    back = " ".join(f"{549 - at} {298 + (499 - at) % 40} l" for at in range(500))
    rows = f"50 500 m {wave.replace(' 3', ' 5')} S q 60 0 400 792 re W n 50 300 m {wave} S Q 50 300 m {wave} {back} h f"
    drawing = f".1 w {grid} S {rows} 50 100 m 100 200 200 0 300 100 c S BT /F1 9 Tf 20 20 Td (25 mm/s V1) Tj ET"
    return (pdf_file(drawing.encode()),)


def pdf_file(drawing: bytes) -> bytes:
    """A PDF of one page of 612 x 792 points with such content."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawing), drawing),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    body, places = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, each in enumerate(objects, 1):
        places += b"%010d 00000 n \n" % len(body)
        body += b"%d 0 obj%sendobj\n" % (number, each)
    end = b"xref\n0 6\n%strailer<</Root 1 0 R/Size 6>>\nstartxref\n%d\n%%%%EOF" % (places, len(body))
    return body + end


def _read_pdf(data: bytes, folder: Path) -> None:
    for arguments in ([], ["1", "50", "400"]):
        answer, _ = answer_pdf(io.BytesIO(data), arguments)
        if "error" in answer:
            raise PageError(str(answer["error"]))


def _read_pdf_lines(data: bytes, folder: Path) -> None:
    shown, pixels = answer_pdf(io.BytesIO(data), ["1", "60", "800"])
    size = (shown.get("height", 1), shown.get("width", 1))
    answer, body = answer_paths(io.BytesIO(data), ["1", *map(str, size)])
    if "error" in shown or "error" in answer:
        raise PageError(str(shown.get("error", answer.get("error"))))
    lines = DrawnLines(paths_of(answer, body), 60 / 25.4)
    image = np.frombuffer(pixels, np.uint8).reshape(*size, 3)
    read_by_lines(image, lines, ReadingOptions(words="off"), Clock())


_CHANGES: Final = {"PNG": change_png, "TIFF": change_tiff}

PICTURES: Final = (
    *(Parser(f"page.{kind.lower()}", _samples(kind), _CHANGES.get(kind, change_bytes), _read) for kind in _MODES),
    Parser("page.pdf", _pdfs, change_bytes, _read_pdf),
    Parser("page.pdf lines", _drawn_pdfs, change_bytes, _read_pdf_lines),
)
