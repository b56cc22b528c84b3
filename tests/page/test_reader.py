"""Page files of every kind become RGB images; bad ones are named and explained."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pypdfium2 as pdfium
import pytest
from PIL import Image

from ecg_flare.errors import PageError
from ecg_flare.page import reader
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import LONGEST_PX, count_pages, list_pages, read_page


def gradient(width: int = 40, height: int = 30) -> np.ndarray:
    """A picture whose corners all differ: red grows to the right, green downwards."""
    red, green = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    return np.dstack([red, green, np.full_like(red, 90)]).astype(np.uint8)


def read(path: Path, number: int = 1) -> np.ndarray:
    return read_page(PageFile(path, number, "page")).image


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_lossless_files_come_back_exactly(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"page.{ending}"
    Image.fromarray(gradient()).save(path)

    np.testing.assert_array_equal(read(path), gradient())


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "page.jpg", quality=95)

    assert np.abs(read(tmp_path / "page.jpg").astype(int) - gradient()).mean() < 3


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_obeyed(tmp_path: Path, orientation: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(gradient()).save(tmp_path / "page.png", exif=exif)

    np.testing.assert_array_equal(read(tmp_path / "page.png"), np.rot90(gradient(), turn))


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = (np.arange(1200).reshape(30, 40) * 54).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "page.png"), deep)

    image = read(tmp_path / "page.png")

    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[:, :, 0], deep / 257, atol=0.51)


def test_twelve_bits_in_sixteen_fill_the_scale(tmp_path: Path) -> None:
    scan = np.full((30, 40), 4095, np.uint16)
    scan[10:20] = 1024
    Image.fromarray(scan).save(tmp_path / "page.tif")

    assert sorted(np.unique(read(tmp_path / "page.tif"))) == [64, 255]


def test_grey_palette_and_transparency_become_rgb_on_white(tmp_path: Path) -> None:
    grey = gradient()[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(gradient()).quantize(200).save(tmp_path / "palette.png")
    clear = np.dstack([gradient(), np.where(np.arange(40) < 20, 0, 255)[None, :].repeat(30, 0)]).astype(np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")

    np.testing.assert_array_equal(read(tmp_path / "grey.png"), np.dstack([grey] * 3))
    assert read(tmp_path / "palette.png").shape == (30, 40, 3)
    laid = read(tmp_path / "clear.png")
    assert (laid[:, :20] == 255).all()
    np.testing.assert_array_equal(laid[:, 20:], gradient()[:, 20:])


def test_every_page_of_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "scan.tiff"
    first, second = Image.fromarray(gradient()), Image.fromarray(gradient()[::-1])
    first.save(path, save_all=True, append_images=[second])

    pages = list_pages([path]).pages

    assert [(page.number, page.name) for page in pages] == [(1, "scan-p1"), (2, "scan-p2")]
    np.testing.assert_array_equal(read_page(pages[1]).image, gradient()[::-1])


def test_every_page_of_a_pdf(tmp_path: Path) -> None:
    path = tmp_path / "record.pdf"
    with pdfium.PdfDocument.new() as document:
        document.new_page(72 * 4, 72 * 2)
        document.new_page(72 * 3, 72 * 3)
        document.save(path)

    pages = list_pages([path]).pages

    assert [page.name for page in pages] == ["record-p1", "record-p2"]
    assert [read_page(page).image.shape for page in pages] == [(500, 1000, 3), (750, 750, 3)]  # 250 dpi


def test_a_poster_is_shrunk_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LONGEST_PX", 100)
    for ending in ("png", "jpg"):
        Image.fromarray(gradient(350, 200)).save(tmp_path / f"poster.{ending}")

        page = read_page(PageFile(tmp_path / f"poster.{ending}", 1, "poster"))

        assert max(page.image.shape) <= 100
        assert min(page.image.shape[:2]) >= 25
        assert "350 x 200 pixels was shrunk" in page.warnings[0]
    assert LONGEST_PX == 8000


def bomb(path: Path, side: int) -> None:
    """A PNG whose header promises side x side pixels, and which holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def cut_jpeg(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:9000])


def empty_pdf(path: Path) -> None:
    path.write_bytes(
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF"
    )


_BAD = {
    "missing.png": (lambda path: None, "does not exist"),
    "empty.png": (lambda path: path.write_bytes(b""), "empty"),
    "empty.pdf": (lambda path: path.write_bytes(b""), "empty"),
    "none.pdf": (empty_pdf, "without pages|no sound PDF"),
    "text.png": (lambda path: path.write_text("hello"), "not an image"),
    "text.pdf": (lambda path: path.write_text("hello"), "no sound PDF"),
    "cut.jpg": (cut_jpeg, "damaged or cut short"),
    "bomb.png": (lambda path: bomb(path, 60_000), "60000 x 60000 pixels, more than the 420 million"),
    "folder.png": (lambda path: path.mkdir(), "is a folder"),
    "pipe.png": (os.mkfifo, "is no regular file"),
    "pipe.pdf": (os.mkfifo, "is no regular file"),
}


@pytest.mark.parametrize("name", sorted(_BAD))
def test_bad_files_are_explained(tmp_path: Path, name: str) -> None:
    make, reason = _BAD[name]
    make(tmp_path / name)

    assert count_pages(tmp_path / name) == 1
    with pytest.raises(PageError, match=reason) as raised:
        read(tmp_path / name)

    assert name in str(raised.value)


def test_an_encrypted_pdf_is_explained(tmp_path: Path) -> None:
    text = "(" + "x" * 32 + ")"
    (tmp_path / "secret.pdf").write_text(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
        f"3 0 obj<</Filter/Standard/V 1/R 2/O{text}/U{text}/P -4>>endobj\n"
        f"trailer<</Root 1 0 R/Encrypt 3 0 R/ID[{text}{text}]>>\n%%EOF"
    )

    with pytest.raises(PageError, match="encrypted: save it without a password"):
        read(tmp_path / "secret.pdf")


def test_a_forbidden_file_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    Image.fromarray(gradient()).save(tmp_path / "locked.png")
    monkeypatch.setattr(Image, "open", forbid)

    with pytest.raises(PageError, match="permission denied"):
        read(tmp_path / "locked.png")
