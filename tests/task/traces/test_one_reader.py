"""What the network sees of a page is what the digitizer reads, whatever kind of picture the page is.

The expected pixels are made from the drawing itself, not by reading the file.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pypdfium2 as pdfium
import pytest
from PIL import Image

from ecg_flare.errors import SiteDataError
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.settings import TO_EVALUATE
from ecg_flare.page import reader
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM
from ecg_flare.page.reader import list_pages, read_page
from ecg_flare.task.traces.inspection import inspect_pages
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.page_folder import PageFolder

SIZE = 120, 80
ORIENTATION = 0x0112


def drawn_page(*, grey: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A page whose corners differ, with a sloping line, and the line's mask: (80, 120, 3) and (80, 120)."""
    width, height = SIZE
    red, green = np.meshgrid(np.linspace(200, 250, width), np.linspace(190, 240, height))
    image = np.dstack([red, green, np.full_like(red, 230)]).astype(np.uint8)
    if grey:
        image = np.repeat(image[:, :, :1], 3, axis=2)
    mask = np.zeros((height, width), np.uint8)
    cv2.line(mask, (5, 20), (90, 45), 1, 3)
    image[mask == 1] = 16
    return image, mask


def deep(image: np.ndarray, bits: int) -> np.ndarray:
    """The same picture in the lower `bits` of 16."""
    return np.round(image.astype(np.float64) * ((1 << bits) - 1) / 255).astype(np.uint16)


def transparent(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Black where the line is, else nothing: what viewers show on white."""
    return np.dstack([np.zeros_like(image), np.where(mask == 1, 255, 0)]).astype(np.uint8)


def on_white(mask: np.ndarray) -> np.ndarray:
    return np.repeat(np.where(mask == 1, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


Case = tuple[str, Callable[[Path], np.ndarray], float]


def colour(path: Path, kind: str, **options: object) -> np.ndarray:
    image, _ = drawn_page()
    Image.fromarray(image).save(path, kind, **options)
    return image


def grey(path: Path, kind: str, mode: str = "L") -> np.ndarray:
    image, _ = drawn_page(grey=True)
    picture = Image.fromarray(image[:, :, 0])
    if mode == "1":
        _, mask = drawn_page()
        picture, image = Image.fromarray(mask == 0), on_white(mask)
    picture.save(path, kind)
    return image


def deep_grey(path: Path, bits: int) -> np.ndarray:
    image, _ = drawn_page(grey=True)
    Image.fromarray(deep(image[:, :, 0], bits)).save(path)
    return image


def deep_colour(path: Path, bits: int, *, alpha: bool = False) -> np.ndarray:
    image, mask = drawn_page()
    stored = deep(image, bits)[..., ::-1]
    if alpha:
        stored = np.dstack([stored, deep(np.where(mask == 1, 255, 0), bits)])
        image = np.where(mask[..., None] == 1, image, 255).astype(np.uint8)
    assert cv2.imwrite(str(path), stored)
    return image


def clear(path: Path, kind: str, mode: str = "RGBA", **options: object) -> np.ndarray:
    image, mask = drawn_page()
    picture = Image.fromarray(transparent(image, mask))
    if mode == "P":  # a palette of black alone, of which one is transparent
        picture = Image.fromarray((mask == 1).astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, 0, 0, 0])
        options["transparency"] = 0
    (picture if mode == "P" else picture.convert(mode)).save(path, kind, **options)
    return on_white(mask)


def cmyk(path: Path) -> np.ndarray:
    image, _ = drawn_page()
    Image.fromarray(image).convert("CMYK").save(path, "JPEG", quality=100, subsampling=0)
    return image


def pdf(path: Path) -> np.ndarray:
    """A page of 120 x 80 pixels at 250 dpi, without a margin."""
    image, _ = drawn_page()
    Image.fromarray(image).save(path, "PDF", resolution=250.0, quality=100, subsampling=0)
    return image


def animation(path: Path, kind: str) -> np.ndarray:
    image, _ = drawn_page(grey=True)
    first, second = Image.fromarray(image[:, :, 0]), Image.fromarray(255 - image[:, :, 0])
    first.save(path, kind, save_all=True, append_images=[second], **({"lossless": True} if kind == "WEBP" else {}))
    return image


KINDS: dict[str, tuple[str, Callable[[Path], np.ndarray], float]] = {
    "PNG 8": ("png", lambda path: colour(path, "PNG"), 0),
    "PNG grey": ("png", lambda path: grey(path, "PNG"), 0),
    "PNG 1 bit": ("png", lambda path: grey(path, "PNG", "1"), 0),
    "PNG 16": ("png", lambda path: deep_grey(path, 16), 0.6),
    "PNG 12 in 16": ("png", lambda path: deep_grey(path, 12), 0.6),
    "PNG 10 in 16": ("png", lambda path: deep_grey(path, 10), 0.6),
    "PNG colour 16": ("png", lambda path: deep_colour(path, 16), 1),
    "PNG colour 12 in 16": ("png", lambda path: deep_colour(path, 12), 0.6),
    "PNG colour and alpha 12 in 16": ("png", lambda path: deep_colour(path, 12, alpha=True), 0.6),
    "TIFF 12 in 16": ("tif", lambda path: deep_grey(path, 12), 0.6),
    "TIFF colour 12 in 16": ("tif", lambda path: deep_colour(path, 12), 0.6),
    "TIFF 1 bit": ("tif", lambda path: grey(path, "TIFF", "1"), 0),
    "PNG alpha": ("png", lambda path: clear(path, "PNG"), 0),
    "PNG grey and alpha": ("png", lambda path: clear(path, "PNG", "LA"), 0),
    "PNG palette and tRNS": ("png", lambda path: clear(path, "PNG", "P"), 0),
    "TIFF alpha": ("tif", lambda path: clear(path, "TIFF"), 0),
    "WebP alpha": ("webp", lambda path: clear(path, "WEBP", lossless=True, exact=True), 0),
    "GIF transparent": ("gif", lambda path: clear(path, "GIF", "P"), 0),
    "JPEG CMYK": ("jpg", cmyk, 30),
    "JPEG": ("jpg", lambda path: colour(path, "JPEG", quality=100, subsampling=0), 10),
    "BMP": ("bmp", lambda path: colour(path, "BMP"), 0),
    "WebP": ("webp", lambda path: colour(path, "WEBP", lossless=True), 0),
    "GIF": ("gif", lambda path: grey(path, "GIF"), 0),
    "GIF animation": ("gif", lambda path: animation(path, "GIF"), 0),
    "WebP animation": ("webp", lambda path: animation(path, "WEBP"), 0),
    "JPEG 2000": ("jp2", lambda path: colour(path, "JPEG2000"), 0),
    "JPEG 2000 codestream": ("j2k", lambda path: colour(path, "JPEG2000", no_jp2=True), 0),
    "JPEG 2000, 16": ("jp2", lambda path: deep_grey(path, 16), 0.6),
    "PDF": ("pdf", pdf, 20),
    "JPEG called .png": ("png", lambda path: colour(path, "JPEG", quality=100, subsampling=0), 10),
    "WebP called .jpg": ("jpg", lambda path: colour(path, "WEBP", lossless=True), 0),
    "PDF called .png": ("png", pdf, 20),
}


def put_mask(folder: Path, name: str, mask: np.ndarray) -> None:
    assert cv2.imwrite(str(folder / f"{name}.mask.png"), mask)


def source(folder: Path) -> PageFolder:
    return PageFolder(str(folder), px_per_mm=NORMALIZED_PX_PER_MM)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_sees_what_is_read(tmp_path: Path, kind: str) -> None:
    ending, write, tolerance = KINDS[kind]
    expected = write(tmp_path / f"a_1.{ending}")
    put_mask(tmp_path, "a_1", drawn_page()[1])

    [page] = list_pages([tmp_path]).pages
    read = read_page(page)
    [case] = source(tmp_path).cases("site")

    assert read.image.shape == expected.shape
    difference = np.abs(read.image.astype(float) - expected)
    assert np.quantile(difference, 0.98 if tolerance > 2 else 1.0) <= tolerance
    if read.px_per_mm is None:
        np.testing.assert_array_equal(case.image, read.image)
    else:  # a PDF has a resolution of its own
        shrunk = cv2.resize(read.image, case.image.shape[1::-1], interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(case.image, shrunk)
    ink = case.image[case.mask == 1].mean()
    assert ink < case.image[case.mask == 0].mean() - 100


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("drawn_on", ["shown", "stored"])
def test_a_mask_is_as_upright_as_its_page(tmp_path: Path, kind: str, orientation: int, drawn_on: str) -> None:
    image, mask = drawn_page()
    shown_image, shown_mask = TURNS[orientation](image), TURNS[orientation](mask)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    Image.fromarray(image).save(tmp_path / f"a_1.{kind.lower()}", kind, exif=exif, **options)
    put_mask(tmp_path, "a_1", np.ascontiguousarray(shown_mask if drawn_on == "shown" else mask))

    if drawn_on == "stored" and orientation in (2, 3, 4):
        with pytest.raises(SiteDataError, match=f"belongs to the stored pixels .* orientation {orientation}"):
            list(source(tmp_path).cases("site"))
        return
    [case] = source(tmp_path).cases("site")
    [page] = list_pages([tmp_path]).pages
    np.testing.assert_array_equal(case.mask, shown_mask)
    np.testing.assert_array_equal(case.image, read_page(page).image)
    assert np.quantile(np.abs(case.image.astype(float) - shown_image), 0.98) <= (10 if kind == "JPEG" else 0)


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""EXIF 2.32, section 4.6.4: where row 0 and column 0 of the stored pixels are shown."""


def several_pages(folder: Path, count: int = 3) -> list[np.ndarray]:
    image, _ = drawn_page()
    pages = [np.clip(image.astype(int) - 5 * index, 0, 255).astype(np.uint8) for index in range(count)]
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(folder / "anna_1.tif", save_all=True, append_images=others)
    return pages


def test_each_page_of_a_tiff_has_a_mask_of_its_own(tmp_path: Path) -> None:
    pages = several_pages(tmp_path)
    mask = drawn_page()[1]
    masks = [mask, np.roll(mask, 1, axis=0), np.roll(mask, 2, axis=0)]
    for number, each in enumerate(masks, 1):
        put_mask(tmp_path, f"anna_1-p{number}", each)
    (tmp_path / "patients.csv").write_text("page,patient_id\nanna_1,a\nanna_1-p3,b\n")

    cases = list(source(tmp_path).cases("site"))

    assert [(case.name, case.patient_id) for case in cases] == [
        ("anna_1-p1", "a"),
        ("anna_1-p2", "a"),
        ("anna_1-p3", "b"),
    ]
    for case, image, each in zip(cases, pages, masks, strict=True):
        np.testing.assert_array_equal(case.image, image)
        np.testing.assert_array_equal(case.mask, each)


def test_a_page_of_a_tiff_without_a_mask_is_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    several_pages(tmp_path)
    put_mask(tmp_path, "anna_1", drawn_page()[1])

    found = inspect_pages(source(tmp_path), "site")

    said = [finding.what for finding in found.findings if finding.case == "anna_1.tif"]
    assert [f"left out: it has no mask for page {n} of 3: anna_1-p{n}.mask.png" for n in (2, 3)] == said[-2:]
    with caplog.at_level(logging.WARNING):
        assert [case.name for case in source(tmp_path).cases("site")] == ["anna_1-p1"]
    assert "page 3 of 3" in caplog.text


def two_scans(folder: Path) -> None:
    for patient in ("anna", "bela"):
        image, mask = drawn_page()
        Image.fromarray(np.clip(image.astype(int) - len(patient), 0, 255).astype(np.uint8)).save(
            folder / f"{patient}_1.png"
        )
        put_mask(folder, f"{patient}_1", mask)


STRAY = {
    "manual.pdf": ("PDF", {"save_all": True, "append_images": [Image.new("RGB", (40, 30))] * 3}, "manual-p1.mask.png"),
    "logo.gif": ("GIF", {}, "logo.mask.png"),
    "logo.webp": ("WEBP", {}, "logo.mask.png"),
    "logo.JP2": ("JPEG2000", {}, "logo.mask.png"),
}


@pytest.mark.parametrize("name", STRAY)
def test_a_manual_or_a_logo_beside_scans_is_left_out_and_named(tmp_path: Path, name: str) -> None:
    kind, options, mask = STRAY[name]
    two_scans(tmp_path)
    Image.new("RGB", (40, 30)).save(tmp_path / name, kind, **options)

    found = inspect_pages(source(tmp_path), "site")

    said = [(finding.what, finding.stops) for finding in found.findings if finding.case == name]
    assert said == [(f"left out: it has no mask: {mask}", False)]
    assert [page.name for page in found.cases] == ["anna_1.png", "bela_1.png"]
    assert [case.name for case in source(tmp_path).cases("site")] == ["anna_1", "bela_1"]


@pytest.mark.parametrize(("ending", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("tif", "TIFF"), ("bmp", "BMP")])
def test_a_scan_without_a_mask_stops(tmp_path: Path, ending: str, kind: str) -> None:
    two_scans(tmp_path)
    colour(tmp_path / f"carl_1.{ending}", kind)

    found = inspect_pages(source(tmp_path), "site")

    said = [(finding.what, finding.stops) for finding in found.findings if finding.case == f"carl_1.{ending}"]
    assert (f"page carl_1.{ending} has neither a mask nor a truth", True) in said
    assert not found.ready


@pytest.mark.parametrize("name", STRAY)
def test_where_nothing_has_a_mask_every_file_says_so(tmp_path: Path, name: str) -> None:
    kind, options, _ = STRAY[name]
    Image.new("RGB", (40, 30)).save(tmp_path / name, kind, **options)

    with pytest.raises(SiteDataError, match="has neither a mask nor a truth"):
        list(source(tmp_path).cases("site"))


@pytest.mark.parametrize("pages", [1, 2])
@pytest.mark.parametrize("where", ["beside", "masks"])
def test_the_pdf_that_a_scan_was_exported_from_leaves_the_mask_to_it(tmp_path: Path, pages: int, where: str) -> None:
    two_scans(tmp_path)
    if where == "masks":
        (tmp_path / "masks").mkdir()
        (tmp_path / "anna_1.mask.png").rename(tmp_path / "masks" / "anna_1.png")
    first, *others = [Image.fromarray(drawn_page()[0])] * pages
    first.save(tmp_path / "anna_1.pdf", save_all=True, append_images=others)

    found = inspect_pages(source(tmp_path), "site")

    said = [(finding.what, finding.stops) for finding in found.findings if finding.case == "anna_1.pdf"]
    assert said == [("left out: it has no mask of its own: what is named anna_1 belongs to anna_1.png", False)]
    assert [page.name for page in found.cases] == ["anna_1.png", "bela_1.png"]


def test_a_pdf_beside_a_scan_of_its_name_keeps_the_pages_that_have_masks(tmp_path: Path) -> None:
    two_scans(tmp_path)
    page = Image.fromarray(drawn_page()[0])
    page.save(tmp_path / "anna_1.pdf", save_all=True, append_images=[page], resolution=250.0)
    put_mask(tmp_path, "anna_1-p2", drawn_page()[1])

    listed = source(tmp_path).pages("site")

    assert [page.name for page in listed.pages] == ["anna_1-p2", "anna_1", "bela_1"]
    assert [left.why for left in listed.left_out if left.is_picture] == [
        "has no mask for page 1 of 2: anna_1-p1.mask.png"
    ]


def test_a_mask_follows_a_page_that_is_shrunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = drawn_page()
    large = {"fx": 4, "fy": 4, "interpolation": cv2.INTER_NEAREST}
    Image.fromarray(cv2.resize(image, None, **large)).save(tmp_path / "a_1.png")
    put_mask(tmp_path, "a_1", cv2.resize(mask, None, **large))
    folder = PageFolder(str(tmp_path), px_per_mm=4 * NORMALIZED_PX_PER_MM)
    [whole] = folder.cases("site")

    monkeypatch.setattr(reader, "LONGEST_PX", 250)
    [shrunk] = folder.cases("site")

    np.testing.assert_array_equal(shrunk.mask, mask)
    np.testing.assert_array_equal(shrunk.mask, whole.mask)
    np.testing.assert_allclose(shrunk.image.astype(int), whole.image, atol=1)


def test_a_pdf_has_its_own_resolution_and_a_mask_of_any_size(tmp_path: Path) -> None:
    with pdfium.PdfDocument.new() as document:
        document.new_page(720, 360)  # 254 x 127 mm
        document.save(tmp_path / "a_1.pdf")
    mask = np.zeros((500, 1000), np.uint8)
    mask[200:212] = 1
    put_mask(tmp_path, "a_1", mask)

    [page] = source(tmp_path).pages("site").pages
    read = source(tmp_path).read(page, None)

    assert read.px_per_mm == pytest.approx(250 / 25.4)
    assert read.case.image.shape == (508, 1016, 3)
    rows = np.flatnonzero(read.case.mask.any(axis=1))
    assert (rows[0], rows[-1]) == (pytest.approx(203, abs=1), pytest.approx(215, abs=1))


def test_what_is_prepared_is_what_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    kinds = ("PNG palette and tRNS", "PNG 12 in 16", "GIF", "JPEG 2000")
    for index, kind in enumerate(kinds):
        ending, write, _ = KINDS[kind]
        write(folder / f"p{index}_1.{ending}")
        put_mask(folder, f"p{index}_1", drawn_page()[1])

    prepared = prepare(source(folder), "site", plan_preset("tiny"), tmp_path / "cache", TO_EVALUATE)

    for case, page in zip(prepared_pages(prepared), list_pages([folder]).pages, strict=True):
        np.testing.assert_array_equal(case.image, read_page(page).image)
        np.testing.assert_array_equal(case.mask, drawn_page()[1])


@pytest.mark.parametrize(
    ("mask", "named"),
    [
        (drawn_page()[1] * 255, "black and white .0 and 255.; the labels are 0 to 3"),
        (drawn_page()[1] * 7, "has the value 7; the labels are 0 to 3"),
        (np.dstack([drawn_page()[1], drawn_page()[1] * 2, drawn_page()[1]]), "has colours"),
    ],
)
def test_a_mask_of_other_values_is_named(tmp_path: Path, mask: np.ndarray, named: str) -> None:
    colour(tmp_path / "a_1.png", "PNG")
    put_mask(tmp_path, "a_1", mask)

    with pytest.raises(SiteDataError, match=rf"a_1\.mask\.png .*{named}"):
        list(source(tmp_path).cases("site"))


@pytest.mark.parametrize("mode", ["P", "1", "L", "RGB", "I;16"])
def test_labels_are_read_in_every_mode(tmp_path: Path, mode: str) -> None:
    colour(tmp_path / "a_1.png", "PNG")
    mask = drawn_page()[1]
    picture = Image.fromarray(mask.astype(np.uint16) if mode == "I;16" else mask)
    if mode == "P":
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    elif mode == "1":
        picture = Image.fromarray(mask == 1)
    elif mode == "RGB":
        picture = picture.convert("RGB")
    picture.save(tmp_path / "a_1.mask.png")

    [case] = source(tmp_path).cases("site")
    np.testing.assert_array_equal(case.mask, mask)


@pytest.mark.realdata
@pytest.mark.parametrize("kind", ["transparent", "grey12in16"])
def test_pages_that_the_network_saw_black(data_root: Path, kind: str) -> None:
    folder = data_root.parent / "faults" / "09_site_prepare_black_pages" / kind
    if not folder.is_dir():
        pytest.skip("the inputs are not at hand")
    cases = list(PageFolder(str(folder), px_per_mm=200 / 25.4).cases("site"))

    assert len(cases) == 2
    for case in cases:
        assert case.image.mean() > 200
        assert case.image[case.mask == 1].mean() < case.image[case.mask == 0].mean() - 30
