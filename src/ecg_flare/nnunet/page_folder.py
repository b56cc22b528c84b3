"""Pages that lie in a folder: images with masks drawn by somebody, or with the truth that rendering wrote.

A page is NAME.png (or .jpg, .jpeg, .tif, .tiff, .bmp) with one of

* NAME.json: where everything is printed, as `ecg-flare render` writes it (`page.truth.PageTruth`); the scale is in it;
* NAME.mask.png, or masks/NAME.png: a label mask of the image's size with the values of `page.raster.Label`, the trace
  about 0.75 mm wide; the scale is the argument `px_per_mm`.

Whose page it is stands in `patients.csv` (columns `page`, `patient_id`), or in the page's name (`patient_pattern`).
"""

from __future__ import annotations

import csv
import hashlib
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
from ecg_flare.nnunet.case import JSON, Case, site_entry
from ecg_flare.page.image_files import decode_image
from ecg_flare.page.page import Page
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, Label
from ecg_flare.page.resample import resample_page
from ecg_flare.page.truth import PageTruth

PATIENTS_FILE: Final = "patients.csv"

IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_MASK_ENDING: Final = ".mask.png"
_MASK_FOLDER: Final = "masks"
_MAX_PX_PER_MM: Final = 1000
# At the network's resolution: two and a half square metres.
_MAX_NORMALIZED_PIXELS: Final = 40_000_000
_PNG_END: Final = b"IEND\xaeB`\x82"
# A thin line covers less than half of each pixel that it crosses once a page is shrunk.
_COVERED: Final = 0.4


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

    def cases(self, site: str) -> Iterator[Case]:
        """The pages in the order of their names."""
        table = self.patient_table(site)
        for path in self.images(site):
            yield self.case(path, table)

    def images(self, site: str) -> list[Path]:
        """The files of the page images, by name; raises SiteDataError where there are none."""
        root = self._root(site)
        found = sorted(path for path in root.iterdir() if is_page_image(path))
        if not found:
            raise SiteDataError(f"{root} holds no page images ({', '.join(IMAGE_ENDINGS)})")
        return found

    def patient_table(self, site: str) -> dict[str, str] | None:
        """Page name -> patient's id, from the folder's `patients.csv`; None where it has none."""
        return _read_patients(self._root(site) / PATIENTS_FILE)

    def case(self, path: Path, table: Mapping[str, str] | None) -> Case:
        """One page at the network's resolution; raises SiteDataError where it cannot be read."""
        image, mask = self._normalized(path)
        return Case(_safe_name(path.stem), self.patient(path, table), image, mask)

    def patient(self, path: Path, table: Mapping[str, str] | None) -> str:
        """Whose page it is, by the table or by its name; raises SiteDataError where neither says."""
        if table is not None:
            if path.stem not in table:
                raise SiteDataError(
                    f"{path.parent / PATIENTS_FILE} has no row for page {path.stem!r}", "add one with its patient's id"
                )
            return table[path.stem]
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

    def _normalized(self, path: Path) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
        image = _read_image(path, cv2.IMREAD_COLOR_RGB)
        truth_file = path.with_suffix(".json")
        if truth_file.exists():
            truth = _read_truth(truth_file, image)
            _check_normalized(path, image, truth.px_per_mm_x, truth.px_per_mm_y)
            page = resample_page(Page(image, truth))
            return page.image, page.mask
        mask = _read_mask(path, image)
        if self.px_per_mm is None:
            raise SiteDataError(
                f"the resolution of {path} is unknown", f"give px_per_mm, or a {truth_file.name} beside it"
            )
        _check_normalized(path, image, self.px_per_mm, self.px_per_mm)
        return _resize(image, mask, NORMALIZED_PX_PER_MM / self.px_per_mm)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value and value.isprintable()


def is_page_image(path: Path) -> bool:
    """Whether the file's name is that of a page image: one of the endings, and no mask."""
    return path.suffix.lower() in IMAGE_ENDINGS and not path.name.lower().endswith(_MASK_ENDING)


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


def _read_image(path: Path, mode: int) -> UInt8[np.ndarray, "h w *c"]:
    data = _read_bytes(path)
    # OpenCV shows what it could decode of a PNG that was cut short, the rest black
    if not data or (path.suffix.lower() == ".png" and _PNG_END not in data[-64:]):
        raise SiteDataError(f"{path} is no whole image ({len(data)} bytes)", "export it again")
    try:
        return decode_image(data, mode, path)
    except PageError as error:
        raise SiteDataError(str(error), "export it again") from error


def _read_truth(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> PageTruth:
    try:
        truth = PageTruth.from_json(_read_bytes(path).decode())
    except (PageError, UnicodeDecodeError) as error:
        raise SiteDataError(f"{path} is not the truth of a page: {error}", "render the page again") from error
    if (truth.height_px, truth.width_px) != image.shape[:2]:
        raise SiteDataError(
            f"{path} describes a page of {truth.height_px} x {truth.width_px} pixels, its image has "
            f"{image.shape[0]} x {image.shape[1]}",
            "put each image beside its own truth",
        )
    return truth


def _check_normalized(path: Path, image: UInt8[np.ndarray, "h w 3"], px_per_mm_x: float, px_per_mm_y: float) -> None:
    """Refuse a page that would be larger than any paper, before it is resampled to that."""
    height_mm, width_mm = image.shape[0] / px_per_mm_y, image.shape[1] / px_per_mm_x
    if width_mm * height_mm * NORMALIZED_PX_PER_MM**2 > _MAX_NORMALIZED_PIXELS:
        raise SiteDataError(
            f"{path} would be {width_mm:.0f} x {height_mm:.0f} mm large at {px_per_mm_x:.3g} px/mm",
            "check its resolution",
        )


def _read_mask(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    choices = (path.with_suffix(_MASK_ENDING), path.parent / _MASK_FOLDER / f"{path.stem}.png")
    found = next((choice for choice in choices if choice.exists()), None)
    if found is None:
        raise SiteDataError(
            f"page {path} has neither a mask nor a truth",
            f"put {choices[0].name} or {_MASK_FOLDER}/{path.stem}.png there",
        )
    mask = _read_image(found, cv2.IMREAD_GRAYSCALE)
    if mask.shape != image.shape[:2]:
        raise SiteDataError(
            f"mask {found} has shape {mask.shape}, its page {image.shape[:2]}", "export both at the same size"
        )
    if mask.max(initial=0) > max(Label):
        raise SiteDataError(
            f"mask {found} has the value {mask.max()}; the labels are {min(Label)} to {max(Label)}",
            "its palette's colours are read, and not the classes: save it in grey, without a palette, with 0 for paper"
            ", 1 for trace, 2 for the calibration pulse, 3 for print"
            if _has_palette(found)
            else "write 0 for paper, 1 for trace, 2 for the calibration pulse, 3 for print",
        )
    return mask


def _has_palette(path: Path) -> bool:
    head = _read_bytes(path)[:26]
    return head[:8] == b"\x89PNG\r\n\x1a\n" and head[25:26] == b"\x03"  # the colour type of IHDR


def _resize(
    image: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"], scale: float
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], UInt8[np.ndarray, "h2 w2"]]:
    """Image and mask at another resolution; a class is where it covers enough of a pixel, traces over pulses."""
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = np.zeros((size[1], size[0]), np.uint8)
    for label in (Label.PRINT, Label.PULSE, Label.TRACE):
        share = cv2.resize((mask == label).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        resized[share >= _COVERED] = label
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8), resized


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
    return Path(name).suffix.lower() in IMAGE_ENDINGS
