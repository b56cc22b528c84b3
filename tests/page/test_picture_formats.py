"""A file's first bytes say what it is."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from ecg_flare.page.formats import format_of


def bitmap(mode: str) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (300, 200)).save(file, "BMP")
    return file.getvalue()


def bitmap_of_header(size: int, reserved: int = 0) -> bytes:
    """A grey bitmap of 2 x 1 pixels, whose header has this size: 12 OS/2 1, 40 Windows 3, 64 OS/2 2, 108 V4, 124 V5."""
    colours = 256 * (3 if size == 12 else 4)
    shape = struct.pack("<HHHH", 2, 1, 1, 8) if size == 12 else struct.pack("<iiHHI", 2, 1, 1, 8, 0)
    header = (struct.pack("<I", size) + shape).ljust(size, b"\0")
    offset = 14 + size + colours
    palette = b"".join(bytes([grey] * 3 + [0] * (size != 12)) for grey in range(256))
    return struct.pack("<2sIII", b"BM", offset + 4, reserved, offset) + header + palette + bytes([7, 250, 0, 0])


@pytest.mark.parametrize("size", [12, 40, 52, 56, 64, 108, 124])
def test_bitmaps_of_all_headers_are_bitmaps(size: int) -> None:
    data = bitmap_of_header(size)

    assert format_of(data[:1024]) == "BMP"
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "BMP"
        np.testing.assert_array_equal(np.asarray(picture.convert("L")), [[7, 250]])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bitmaps_of_all_depths_are_bitmaps(mode: str) -> None:
    assert format_of(bitmap(mode)[:1024]) == "BMP"


def test_an_application_may_use_the_reserved_fields() -> None:
    assert format_of(bitmap_of_header(40, reserved=0x0012_0034)) == "BMP"


@pytest.mark.parametrize(
    "text",
    [
        "BM",
        "BMI,age\n23.1,64\n27.9,71\n",
        "BMI;age;sex;patient(id)\n" * 20,
        "BM         (   (((((((",
        "BMW 3-series",
        "BM\nBM\nBM\nBM\n(((\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_texts_are_no_bitmaps(text: str, encoding: str) -> None:
    assert format_of(text.encode(encoding)) is None
