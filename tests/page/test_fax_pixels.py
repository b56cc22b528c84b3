"""A fax of 204 by 98 dots an inch is read with square pixels; other pictures are left as they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page

DOTS = np.random.default_rng(4).random((300, 640)) < 0.5


def saved(path: Path, dpi: tuple[float, float] | None, mode: str = "1", **options: object) -> PageFile:
    picture = Image.fromarray(DOTS if mode == "1" else DOTS.astype(np.uint8) * 255).convert(mode)
    picture.save(path, **({} if dpi is None else {"dpi": dpi}), **options)  # type: ignore[arg-type]
    return PageFile(path, 1, path.stem)


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_each_line_of_a_standard_fax_is_shown_where_it_stood(tmp_path: Path, compression: str) -> None:
    read = read_page(saved(tmp_path / "fax.tif", (204, 98), compression=compression))
    assert read.image.shape == (round(300 * 204 / 98), 640, 3)
    assert read.shape == read.image.shape[:2]
    middles = ((np.arange(300) + 0.5) * 204 / 98).astype(int)
    assert np.array_equal(read.image[middles, :, 0] == 255, DOTS)


@pytest.mark.parametrize("dpi", [None, (200, 200), (204, 196), (98, 204), (2000, 98), (204, 0)])
def test_other_pictures_are_left_as_they_are(tmp_path: Path, dpi: tuple[float, float] | None) -> None:
    assert read_page(saved(tmp_path / "scan.tif", dpi)).image.shape == (300, 640, 3)


def test_grey_scans_and_other_formats_are_left_as_they_are(tmp_path: Path) -> None:
    assert read_page(saved(tmp_path / "grey.tif", (204, 98), "L")).image.shape == (300, 640, 3)
    assert read_page(saved(tmp_path / "fax.png", (204, 98))).image.shape == (300, 640, 3)


def test_a_fax_in_centimetres_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "fax.tif"
    Image.fromarray(DOTS).save(path, resolution_unit="cm", x_resolution=80.3, y_resolution=38.5)
    assert read_page(PageFile(path, 1, "fax")).image.shape == (round(300 * 80.3 / 38.5), 640, 3)


def test_a_fax_that_lies_on_its_side_is_left_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_page(saved(tmp_path / "fax.tif", (204, 98), exif=exif)).image.shape == (640, 300, 3)
