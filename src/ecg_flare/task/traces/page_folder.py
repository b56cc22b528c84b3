"""Pages that lie in a folder: images with masks drawn by somebody, or with the truth that rendering wrote.

A page is NAME.png, or a file of any other kind that `page.reader` reads, with one of

* NAME.json: where everything is printed, as `ecg-flare render` writes it (`page.truth.PageTruth`); the scale is in it;
* NAME.mask.png, or masks/NAME.png: a label mask of the image's size with the values of `page.raster.Label`, the trace
  about 0.75 mm wide; the scale is the argument `px_per_mm`.

Page 2 of a file of several pages (TIFF, PDF) is NAME-p2, with NAME-p2.mask.png; pages of such a file that have no mask
are left out, and named, and so is a PDF, GIF, WebP or JPEG 2000 without one (`nnunet.drawn_pages`). A PDF is drawn at
250 dpi; its mask may have any size of the same shape.

A mask belongs to the page as viewers show it, turned by its EXIF orientation. One that has the size of the stored
pixels is turned with them.

Whose page it is stands in `patients.csv` (columns `page`, `patient_id`), or in the page's name (`patient_pattern`).
"""

from __future__ import annotations

import csv
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.documents import short
from ecg_flare.errors import ConfigError, PageError, SiteDataError
from ecg_flare.nnunet.case import JSON, site_entry
from ecg_flare.page.formats import NAMES, PAGE_SUFFIXES
from ecg_flare.page.mask_files import read_mask, resize_mask
from ecg_flare.page.mask_fit import fit_mask
from ecg_flare.page.page import Page
from ecg_flare.page.page_list import PageFile, PageList, left_out_lines, look_at
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM
from ecg_flare.page.reader import PageImage, read_page
from ecg_flare.page.resample import resample_page
from ecg_flare.page.truth import PageTruth
from ecg_flare.task.traces.drawn_pages import MASK_ENDING, MASK_FOLDER, drawn_pages, mask_files
from ecg_flare.task.traces.page_case import PageCase

PATIENTS_FILE: Final = "patients.csv"

_MAX_PX_PER_MM: Final = 1000
# At the network's resolution: two and a half square metres.
_MAX_NORMALIZED_PIXELS: Final = 40_000_000
_HOW_TO_DRAW: Final = (
    "draw it on the page as viewers show it, at its size: 0 for paper, 1 for trace, 2 for the calibration pulse, 3 for "
    "print"
)

_LOG = logging.getLogger(__name__)
_Normalized = tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"], float, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class ReadPage:
    """A page that was read: as the network learns from it, its file's resolution, and what is to be known of it."""

    case: PageCase
    px_per_mm: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageFolder:
    """Page images of each site in folders of this machine.

    Attributes:
        folder: one folder for all sites, where '{site}' stands for the site's name; or '' if `folders` says it.
        folders: site -> folder.
        px_per_mm: resolution of pages that have a mask only; None where each page has a truth.
        patient_pattern: regular expression whose first group, found in a page's name, is the patient's id. By default
            what stands before the first underscore. A `patients.csv` in the folder goes before it.

    Raises:
        ConfigError: for a resolution or a pattern that cannot be.
    """

    folder: str = ""
    folders: Mapping[str, str] | None = None
    px_per_mm: float | None = None
    patient_pattern: str = r"^([^_]+)"

    def __post_init__(self) -> None:
        by_site = {} if self.folders is None else self.folders
        if not isinstance(by_site, Mapping) or not all(map(_is_path, (self.folder, *by_site.values()))):
            found = f"{short(self.folder)} and {short(self.folders)}"
            raise ConfigError(f"a page folder needs the path of a folder, or one by site. Found {found}.")
        px_per_mm = self.px_per_mm
        if px_per_mm is not None and not (type(px_per_mm) in (int, float) and 0 < px_per_mm < _MAX_PX_PER_MM):
            raise ConfigError(f"px_per_mm must be a number above 0 and below {_MAX_PX_PER_MM}. Found {px_per_mm!r}.")
        try:
            groups = re.compile(self.patient_pattern).groups
        except (re.error, TypeError) as error:
            raise ConfigError(f"patient_pattern {self.patient_pattern!r} is no regular expression: {error}") from error
        if groups < 1:
            raise ConfigError(
                f"patient_pattern {self.patient_pattern!r} has no group: put parentheses around the patient's id"
            )

    def describe(self, site: str) -> JSON:
        """The settings, and the content of every file in the folder."""
        root = self._root(site)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {
            "source": "page folder",
            "px_per_mm": self.px_per_mm,
            "patient_pattern": self.patient_pattern,
            "files": {path.relative_to(root).as_posix(): _digest(path) for path in files},
        }

    def paths(self, site: str) -> tuple[str, ...]:
        """The folder that the site's pages are read from."""
        return (self._folder(site),)

    def cases(self, site: str) -> Iterator[PageCase]:
        """The pages in the order of their names."""
        table = self.patient_table(site)
        listed = self.pages(site)
        for left in listed.left_out:
            if left.is_picture:
                _LOG.warning("%s %s", left.path, left.why)
        for page in listed.pages:
            yield self.case(page, table)

    def pages(self, site: str) -> PageList:
        """The pages of the folder's files, by name, and what was left out (`nnunet.drawn_pages`).

        Raises SiteDataError where there are none.
        """
        root = self._root(site)
        files, left_out = [], []
        for path in sorted(root.iterdir()):
            left = look_at(path)
            if left is None:
                files.append(path)
            elif not path.name.lower().endswith(MASK_ENDING) and not (path.is_dir() and path.name == MASK_FOLDER):
                left_out.append(left)
        if not files:
            found = "; ".join(left_out_lines(left_out))
            raise SiteDataError(f"{root} holds no page images ({NAMES}){found and ': '}{found}")
        drawn = drawn_pages(files)
        return PageList(drawn.pages, (*left_out, *drawn.left_out))

    def patient_table(self, site: str) -> dict[str, str] | None:
        """Page name -> patient's id, from the folder's `patients.csv`; None where it has none."""
        return _read_patients(self._root(site) / PATIENTS_FILE)

    def case(self, page: PageFile, table: Mapping[str, str] | None) -> PageCase:
        """One page at the network's resolution; raises SiteDataError where it cannot be read."""
        return self.read(page, table).case

    def read(self, page: PageFile, table: Mapping[str, str] | None) -> ReadPage:
        """One page at the network's resolution, and what is to be known of it; raises SiteDataError as `case` does."""
        patient = self.patient(page, table)
        try:
            picture = read_page(page)
        except PageError as error:
            raise SiteDataError(str(error), "export it again") from error
        truth_file = page.path.with_name(f"{page.name}.json")
        if truth_file.exists():
            image, mask, px_per_mm = _with_truth(page, picture, truth_file)
            notes: tuple[str, ...] = ()
        else:
            image, mask, px_per_mm, notes = self._with_mask(page, picture)
        name = _safe_name(page.name)
        return ReadPage(PageCase(name, patient, image, mask), px_per_mm, (*picture.warnings, *notes))

    def patient(self, page: PageFile, table: Mapping[str, str] | None) -> str:
        """Whose page it is, by the table (of the page, or of its file) or by its name.

        Raises SiteDataError where neither says.
        """
        path = page.path
        if table is not None:
            if page.name not in table and path.stem not in table:
                raise SiteDataError(
                    f"{path.parent / PATIENTS_FILE} has no row for page {page.name!r}", "add one with its patient's id"
                )
            return table.get(page.name, table.get(path.stem, ""))
        match = re.search(self.patient_pattern, path.stem)
        if match is None or not match.group(1):
            raise SiteDataError(
                f"the name of {path} does not match patient_pattern {self.patient_pattern!r}",
                f"rename the page, or give a {PATIENTS_FILE} with the columns page, patient_id",
            )
        return match.group(1)

    def _folder(self, site: str) -> str:
        if self.folders:
            return str(site_entry(self.folders, site, "page folder"))
        if self.folder:
            return self.folder.replace("{site}", site)
        raise SiteDataError("a page folder needs 'folder' or 'folders'. Found neither.")

    def _root(self, site: str) -> Path:
        root = Path(self._folder(site)).expanduser()
        try:
            if root.is_dir():
                return root
        except OSError as error:  # a name that is too long, say
            raise SiteDataError(f"the page folder of site {site!r} cannot be read: {error.strerror}") from error
        raise SiteDataError(f"the page folder of site {site!r} does not exist: {root}")

    def _with_mask(self, page: PageFile, picture: PageImage) -> _Normalized:
        mask, notes = _fitting_mask(page, picture)
        px_per_mm = picture.px_per_mm or self.px_per_mm
        if px_per_mm is None:
            raise SiteDataError(
                f"the resolution of {page.path} is unknown", f"give px_per_mm, or a {page.name}.json beside it"
            )
        _check_normalized(page.path, picture.shape, px_per_mm, px_per_mm)
        scale = NORMALIZED_PX_PER_MM / px_per_mm
        height, width = picture.shape
        size = max(1, round(width * scale)), max(1, round(height * scale))
        interpolation = cv2.INTER_AREA if size[0] < picture.image.shape[1] else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(picture.image, size, interpolation=interpolation), np.uint8)
        return image, resize_mask(mask, size), px_per_mm, notes


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value and value.isprintable()


def _safe_name(stem: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", stem)
    return name if name[:1].isalnum() else f"page{name}"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SiteDataError(f"cannot read {path}: {error.strerror}", "let this account read the folder") from error


def _digest(path: Path) -> str:
    return hashlib.sha256(_read_bytes(path)).hexdigest()


def _with_truth(
    page: PageFile, picture: PageImage, truth_file: Path
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"], float]:
    truth = _read_truth(truth_file, picture)
    _check_normalized(page.path, picture.shape, truth.px_per_mm_x, truth.px_per_mm_y)
    if picture.image.shape[:2] != picture.shape:
        raise SiteDataError(
            f"{page.path} has {picture.shape[1]} x {picture.shape[0]} pixels and a truth, and is shrunk to be read",
            "render it with at most 8000 pixels a side",
        )
    resampled = resample_page(Page(picture.image, truth))
    return resampled.image, resampled.mask, truth.px_per_mm_x


def _read_truth(path: Path, picture: PageImage) -> PageTruth:
    try:
        truth = PageTruth.from_json(_read_bytes(path).decode())
    except (PageError, UnicodeDecodeError) as error:
        raise SiteDataError(f"{path} is not the truth of a page: {error}", "render the page again") from error
    if (truth.height_px, truth.width_px) != picture.shape:
        raise SiteDataError(
            f"{path} describes a page of {truth.height_px} x {truth.width_px} pixels, its image has "
            f"{picture.shape[0]} x {picture.shape[1]}",
            "put each image beside its own truth",
        )
    return truth


def _check_normalized(path: Path, shape: tuple[int, int], px_per_mm_x: float, px_per_mm_y: float) -> None:
    """Refuse a page that would be larger than any paper, before it is resampled to that."""
    height_mm, width_mm = shape[0] / px_per_mm_y, shape[1] / px_per_mm_x
    if width_mm * height_mm * NORMALIZED_PX_PER_MM**2 > _MAX_NORMALIZED_PIXELS:
        raise SiteDataError(
            f"{path} would be {width_mm:.0f} x {height_mm:.0f} mm large at {px_per_mm_x:.3g} px/mm",
            "check its resolution",
        )


def _fitting_mask(page: PageFile, picture: PageImage) -> tuple[UInt8[np.ndarray, "h w"], tuple[str, ...]]:
    """The mask of a page, upright as the page is, and what was done to it."""
    choices = mask_files(page)
    found = next((choice for choice in choices if choice.exists()), None)
    if found is None:
        raise SiteDataError(
            f"page {page.title} has neither a mask nor a truth",
            f"put {choices[0].name} or {MASK_FOLDER}/{choices[1].name} there",
        )
    try:
        mask = read_mask(found)
        return fit_mask(mask, picture, found)
    except PageError as error:
        raise SiteDataError(str(error), _HOW_TO_DRAW) from error


def _read_patients(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    try:
        rows = list(csv.DictReader(_read_bytes(path).decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SiteDataError(f"{path} is not a CSV table in UTF-8: {error}") from error
    if not rows or not {"page", "patient_id"} <= set(rows[0]):
        raise SiteDataError(f"{path} needs the columns page, patient_id and at least one row")
    table: dict[str, str] = {}
    for line, row in enumerate(rows, 2):
        page, patient = ((row[column] or "").strip() for column in ("page", "patient_id"))
        if not page or not patient:
            raise SiteDataError(f"line {line} of {path} lacks its page or its patient_id: {page!r}, {patient!r}")
        name = Path(page).stem if _has_image_ending(page) else page
        if table.setdefault(name, patient) != patient:
            raise SiteDataError(f"{path} gives page {name!r} to two patients: {table[name]!r} and {patient!r}")
    return table


def _has_image_ending(name: str) -> bool:
    return Path(name).suffix.lower() in PAGE_SUFFIXES
