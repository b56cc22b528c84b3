"""No picture takes more than 1.5 GB to read, whatever its header says; a small file cannot ask for much."""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from benchmarks.fuzz.pictures import pdf_file
from benchmarks.fuzz.runs import peak_bytes
from PIL import Image

from ecg_flare.errors import PageError, SiteDataError
from ecg_flare.page import image_files, jp2_header, pdf_files, pixels, reader, tiff_header
from ecg_flare.page.image_files import MAX_DECODED_BYTES, MAX_PIXELS, decoding_bytes
from ecg_flare.page.mask_files import read_mask
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.pdf_files import draw_pdf_page
from ecg_flare.page.reader import count_pages, list_pages, read_page
from ecg_flare.task.traces.page_folder import PageFolder

READING = """
import sys
from pathlib import Path
from ecg_flare.page.reader import read_page
from ecg_flare.page.page_list import PageFile
from ecg_flare.errors import PageError
try:
    said = str(read_page(PageFile(Path(sys.argv[1]), 1, "x")).image.shape)
except PageError as error:
    said = str(error)
from benchmarks.fuzz.runs import peak_bytes
print(said, "|", peak_bytes())
"""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path: Path, side: int, bits: int, *, filled: bool = True) -> Path:
    """A grey PNG of one colour: all of its rows, or next to none."""
    packer = zlib.compressobj(9)
    row = b"\0" + bytes((side * bits + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(side if filled else 1)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def read_in_child(path: Path) -> tuple[str, float]:
    """What reading said, and the child's peak memory in GB."""
    done = subprocess.run([sys.executable, "-c", READING, str(path)], capture_output=True, text=True, check=True)
    said, _, peak = done.stdout.rpartition("|")
    return said.strip(), int(peak) / 1e9


@pytest.mark.parametrize(("bits", "max_gb"), [(1, 0.5), (8, 0.5), (16, 0.8)])
def test_a_small_file_of_a_large_picture_takes_little(tmp_path: Path, bits: int, max_gb: float) -> None:
    """The attack: 194 kB of 16 bits took 3.0 GB, 12 kB of 1 bit 1.2 GB."""
    said, peak = read_in_child(png(tmp_path / "page.png", 10_000, bits))

    assert said == "(5000, 5000, 3)"
    assert peak < max_gb


def test_without_strips_the_same_file_takes_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[int] = []
    convert = pixels._strip_from_deep

    def spy(strip: Image.Image, full: float) -> np.ndarray:
        converted.append(strip.size[0] * strip.size[1])
        return convert(strip, full)

    monkeypatch.setattr(pixels, "_strip_from_deep", spy)
    path = png(tmp_path / "page.png", 3000, 16)
    read_page(PageFile(path, 1, "x"))
    assert max(converted) <= pixels._STRIP_PIXELS  # each of these is 11 bytes a pixel in float64 and RGB

    converted.clear()
    monkeypatch.setattr(pixels, "_STRIP_PIXELS", 1 << 40)
    read_page(PageFile(path, 1, "x"))
    assert max(converted) == 3000 * 3000


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_the_largest_side_is_refused_in_words(tmp_path: Path, bits: int) -> None:
    side = 40_000
    said, peak = read_in_child(png(tmp_path / "page.png", side, bits, filled=False))

    assert "40000 x 40000 pixels, more than the 420 million that fit in memory: scan it at 300 dpi" in said
    assert peak < 0.3


def test_deep_pictures_are_bounded_by_bytes_not_by_pixels(tmp_path: Path) -> None:
    side = 18_000  # 324 million pixels, fewer than MAX_PIXELS, of 2 bytes each, and as much again to turn them
    said, peak = read_in_child(png(tmp_path / "page.png", side, 16, filled=False))

    assert "18000 x 18000 pixels of mode I;16, which take 1.3 GB to decode, more than the 1.2 GB" in said
    assert peak < 0.3


def test_without_the_bound_on_bytes_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MAX_DECODED_BYTES", 10**12)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))

    with pytest.raises(pytest.fail.Exception, match="decoded"):
        read_page(PageFile(png(tmp_path / "page.png", 18_000, 16, filled=False), 1, "x"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "I;16", "I", "F", "RGB", "RGBA", "CMYK"])
def test_the_largest_allowed_picture_of_a_mode_fits(kind: str, mode: str) -> None:
    """The rule alone; what it comes to is measured by benchmarks.picture_memory."""
    stored = {"1": 1, "L": 1, "P": 1, "I;16": 2}.get(mode, 4)
    fits = lambda n: decoding_bytes(kind, mode, (n, 1), (n, 1), shrinks=True) <= MAX_DECODED_BYTES  # noqa: E731
    pixels = next(n for n in range(MAX_PIXELS, 0, -1_000_000) if fits(n))

    assert pixels * stored <= MAX_DECODED_BYTES
    assert pixels >= 100_000_000
    if mode in ("1", "L", "P") and kind == "PNG":
        assert pixels == MAX_PIXELS


def test_a_deep_page_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips give what the whole picture gives, to the last bit, also where it is shrunk by an odd factor."""
    rng = np.random.default_rng(0)
    for width, height in ((101, 67), (250, 131), (64, 300), (299, 298)):
        values = rng.integers(0, 5000, (height, width)).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / "deep.png")
        grey = np.clip(values.astype(np.float64) * (255.0 / 8191), 0, 255).round().astype(np.uint8)
        whole = np.repeat(grey[:, :, None], 3, axis=2)
        for longest in (1000, 100, 37):
            monkeypatch.setattr(reader, "LONGEST_PX", longest)
            monkeypatch.setattr(pixels, "_STRIP_PIXELS", 1000)
            shrink = -(-max(width, height) // longest)
            factor = 1 / shrink
            shrunk = cv2.resize(whole, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            expected = whole if shrink == 1 else shrunk

            np.testing.assert_array_equal(read_page(PageFile(tmp_path / "deep.png", 1, "x")).image, expected)


def test_endless_and_infinite_values_of_a_float_picture_are_read(tmp_path: Path) -> None:
    values = np.array([[0, 100, np.nan, np.inf, -np.inf, 200]], np.float32).repeat(3, axis=0)
    Image.fromarray(values).save(tmp_path / "float.tif")

    assert read_page(PageFile(tmp_path / "float.tif", 1, "x")).image[0, :, 0].tolist() == [0, 100, 0, 0, 0, 200]


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_thin_long_picture_is_read(tmp_path: Path, ending: str) -> None:
    Image.new("RGB", (20_000, 2)).save(tmp_path / f"thin.{ending}")

    assert read_page(PageFile(tmp_path / f"thin.{ending}", 1, "x")).image.shape[0] == 1


@pytest.mark.parametrize("kind", ["PPM", "ICO", "AVIF", "TGA"])
def test_formats_that_were_never_promised_are_not_opened(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "page.png", kind)

    for read in (lambda path: read_page(PageFile(path, 1, "x")), read_mask):
        with pytest.raises(PageError, match=r"not an image that can be read|AVIF, which is not read"):
            read(tmp_path / "page.png")


def test_ghostscript_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    Image.open(tmp_path / "page.png")  # Pillow would take it

    with pytest.raises(PageError, match="is PostScript, which is not read: convert it to PNG or JPEG"):
        read_page(PageFile(tmp_path / "page.png", 1, "x"))


# --- WebP, GIF, JPEG 2000 -----------------------------------------------------------------------------------------


def webp(path: Path, width: int, height: int, *, kind: bytes = b"VP8X") -> Path:
    """The head of a WebP that promises such a canvas, and nothing behind it."""
    body = {
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        b"VP8L": b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(5),
        b"VP8 ": b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height),
    }[kind]
    chunks = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    return path


def gif(path: Path, *, screen: tuple[int, int], frame: tuple[int, int]) -> Path:
    """A GIF whose first frame is to be disposed of: Pillow fills a picture of its size while it opens the file."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    control = b"!\xf9\x04\x08\0\0\0\0"
    path.write_bytes(head + control + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\0;")
    return path


def jp2_codestream(path: Path, width: int, height: int, *, tile: int = 0, components: int = 1) -> Path:
    """A JPEG 2000 whose size marker was written over."""
    Image.new("L" if components == 1 else "RGB", (64, 64)).save(path, "JPEG2000", no_jp2=True)
    data = bytearray(path.read_bytes())
    struct.pack_into(">IIIIII", data, 8, width, height, 0, 0, tile or width, tile or height)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", [b"VP8X", b"VP8L", b"VP8 "])
def test_a_webp_that_promises_too_much_is_refused_before_it_is_opened(tmp_path: Path, kind: bytes) -> None:
    said, peak = read_in_child(webp(tmp_path / "page.webp", 16_000, 16_000, kind=kind))

    assert "16000 x 16000 pixels of mode RGBA, which take" in said
    assert peak < 0.3


@pytest.mark.parametrize("sizes", [((65_535, 65_535), (9, 9)), ((9, 9), (65_535, 65_535)), ((9, 9), (65_535, 9000))])
def test_a_gif_that_promises_too_much_is_refused_before_it_is_opened(
    tmp_path: Path, sizes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    said, peak = read_in_child(gif(tmp_path / "page.gif", screen=sizes[0], frame=sizes[1]))

    assert "pixels, more than the 420 million that fit in memory" in said
    assert peak < 0.3


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"width": 30_000, "height": 30_000}, "30000 x 30000 pixels, more than the 420 million"),
        ({"width": 12_000, "height": 12_000, "components": 3}, "12000 x 12000 pixels of mode RGB, which take"),
        ({"width": 16_000, "height": 16_000, "tile": 64}, f"62500 tiles, more than {jp2_header.MAX_TILES}"),
    ],
)
def test_a_jpeg_2000_that_promises_too_much_is_refused(tmp_path: Path, sizes: dict[str, int], named: str) -> None:
    said, peak = read_in_child(jp2_codestream(tmp_path / "page.jp2", **sizes))

    assert named in said
    assert peak < 0.3


def test_a_jpeg_2000_whose_boxes_deny_its_codestream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.jp2"
    Image.new("L", (64, 64)).save(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">II", data, at + 8, 128, 128)
    path.write_bytes(data)

    with pytest.raises(PageError, match=r"boxes say 64 x 64 pixels, its codestream has 128 x 128"):
        read_page(PageFile(path, 1, "x"))


# --- what a header claims besides ---------------------------------------------------------------------------------


def test_a_chunk_beyond_the_end_reserves_nothing(tmp_path: Path) -> None:
    """OpenCV took two gigabytes for three kilobytes."""
    Image.new("L", (40, 30)).save(tmp_path / "page.png")
    data = bytearray((tmp_path / "page.png").read_bytes())
    at = data.index(b"IDAT") - 4
    struct.pack_into(">I", data, at, 2**31 - 100)

    (tmp_path / "page.png").write_bytes(data)

    with pytest.raises(PageError, match="chunk b'IDAT' of 2147483548 bytes is not whole"):
        read_mask(tmp_path / "page.png")


def tiff_with(path: Path, change: Callable[[list[tuple[int, int, int, int]]], None]) -> Path:
    """A grey TIFF of 24 x 16 whose directory of (tag, kind, count, value) was changed."""
    Image.new("L", (24, 16)).save(path, "TIFF")
    data = path.read_bytes()
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries = [struct.unpack_from("<HHII", data, at + 2 + 12 * index) for index in range(count)]
    change(entries)
    packed = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path.write_bytes(data[:4] + struct.pack("<I", len(data)) + data[8:] + packed + struct.pack("<I", 0))
    return path


def test_a_tag_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Libraries need not take the same of the two: what one allows, another would decode."""
    path = tiff_with(tmp_path / "page.tif", lambda entries: entries.insert(0, (256, 4, 1, 60_000)))

    with pytest.raises(PageError, match="tag 256 stands twice"):
        read_page(PageFile(path, 1, "x"))


def test_an_endless_table_of_strips_is_not_taken_apart(tmp_path: Path) -> None:
    def lengthen(entries: list[tuple[int, int, int, int]]) -> None:
        index = next(index for index, entry in enumerate(entries) if entry[0] == 273)
        entries[index] = (273, 4, 5_000_000, 8)

    path = tiff_with(tmp_path / "page.tif", lengthen)

    with pytest.raises(PageError, match="a tag 273 of 5000000 numbers, more than 200000"):
        read_page(PageFile(path, 1, "x"))


def test_pages_without_end_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MAX_PAGES", 3)
    first, *others = (Image.new("L", (8, 8)) for _ in range(5))
    first.save(tmp_path / "many.tif", save_all=True, append_images=others)

    with pytest.raises(PageError, match="more than 3 pages: split it"):
        image_files.count_images(tmp_path / "many.tif")
    assert count_pages(tmp_path / "many.tif") == 1


def test_an_animation_is_one_page(tmp_path: Path) -> None:
    """The count of an APNG's frames is a number in its head: two billion pages would be named one by one."""
    Image.new("L", (8, 8)).save(tmp_path / "page.png")
    data = (tmp_path / "page.png").read_bytes()
    frames = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    (tmp_path / "page.png").write_bytes(data[:33] + frames + data[33:])

    assert len(list_pages([tmp_path / "page.png"]).pages) == 1


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_a_bomb_in_a_text_or_profile_is_refused(tmp_path: Path, kind: bytes) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "page.png")
    data = (tmp_path / "page.png").read_bytes()
    head = b"a\0\0" if kind != b"iTXt" else b"a\0\1\0\0\0"
    bomb = chunk(kind, head + zlib.compress(bytes(300_000_000), 9))
    (tmp_path / "page.png").write_bytes(data[:33] + bomb + data[33:])
    before = peak_bytes()

    with pytest.raises(PageError, match="too large"):
        read_page(PageFile(tmp_path / "page.png", 1, "x"))

    assert peak_bytes() - before < 300_000_000


# --- the other readers --------------------------------------------------------------------------------------------


def test_pages_for_training_are_bounded_too(tmp_path: Path) -> None:
    png(tmp_path / "a_1.png", 18_000, 16, filled=False)

    with pytest.raises(SiteDataError, match=r"18000 x 18000 pixels of mode I;16, which take 1\.3 GB"):
        PageFolder(str(tmp_path), px_per_mm=8.0).case(PageFile(tmp_path / "a_1.png", 1, "a_1"), None)


def test_a_truth_cannot_ask_for_a_page_without_end(tmp_path: Path) -> None:
    from benchmarks.fuzz.texts import _page

    files = _page()
    truth = {**json.loads(files["p.json"]), "px_per_mm_x": 0.051, "px_per_mm_y": 0.051}
    (tmp_path / "p.png").write_bytes(files["p.png"])
    (tmp_path / "p.json").write_text(json.dumps(truth))

    with pytest.raises(SiteDataError, match=r"mm large at 0\.051 px/mm: check its resolution"):
        PageFolder(str(tmp_path)).case(PageFile(tmp_path / "p.png", 1, "p"), None)


# --- PDF ----------------------------------------------------------------------------------------------------------


def pdf(path: Path, drawing: bytes) -> Path:
    path.write_bytes(pdf_file(drawing))
    return path


def test_a_pdf_page_is_drawn_within_bounds_of_memory(tmp_path: Path) -> None:
    path = pdf(tmp_path / "page.pdf", b"0 0 100 100 re f")
    assert draw_pdf_page(path, 1, dpi=72, longest_px=8000).image.shape == (792, 612, 3)

    small = [sys.executable, "-c", LITTLE_MEMORY, "1", "250", "8000"]
    with path.open("rb") as file:
        done = subprocess.run(small, stdin=file, capture_output=True, check=False)
    assert done.returncode != 0


LITTLE_MEMORY = """
import sys
from ecg_flare.page import apart, pdf_files
apart.MAX_BYTES = 60_000_000
apart.answer_apart(pdf_files.answer_pdf)
"""


def test_what_kills_the_process_that_draws_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pdf(tmp_path / "page.pdf", b"0 0 100 100 re f")
    monkeypatch.setattr(pdf_files, "__name__", "os; import os; os.abort()")  # no such module: the child ends at once

    with pytest.raises(PageError, match=r"page\.pdf cannot be drawn within 1\.2 GB of memory and 120 s, or is damaged"):
        draw_pdf_page(path, 1, dpi=72, longest_px=8000)


def test_a_page_number_beyond_the_last_is_told(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="has 1 pages; page 5 was asked for"):
        draw_pdf_page(pdf(tmp_path / "page.pdf", b""), 5, dpi=72, longest_px=8000)


def test_limits_are_those_that_the_docs_tell() -> None:
    text = (Path(__file__).parents[2] / "docs" / "digitization.md").read_text()
    assert f"{MAX_PIXELS // 1_000_000} million pixels" in text
    assert f"{MAX_DECODED_BYTES / 1e9:.1f} GB" in text
    assert f"{tiff_header.MAX_PAGES:,} pages" in text
