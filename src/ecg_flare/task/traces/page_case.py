"""One page as the network learns from it: its picture and its label mask, also as files of nnU-Net's raw data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.errors import SiteDataError
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.page.mask_files import read_mask
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.raster import IGNORED
from ecg_flare.page.reader import read_page

FILE_ENDING = ".png"


@dataclass(frozen=True, eq=False)
class PageCase:
    """One page image with its label mask, both at `NORMALIZED_PX_PER_MM`.

    Attributes:
        name: unique within a site; becomes a file name, so letters, digits, '-', '_' and '.' only.
        patient_id: whose page it is; training and validation never share a patient.
        image: RGB.
        mask: class of each pixel, values of `page.raster.Label`, and `page.raster.IGNORED` where nobody says it.
    """

    name: str
    patient_id: str
    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise SiteDataError(
                f"page {self.name!r}: the image must be RGB uint8 (h, w, 3). "
                f"Found {self.image.dtype} {self.image.shape}."
            )
        if self.mask.dtype != np.uint8 or self.mask.shape != self.image.shape[:2]:
            raise SiteDataError(
                f"page {self.name!r}: the mask must be uint8 of the image's size {self.image.shape[:2]}. "
                f"Found {self.mask.dtype} {self.mask.shape}."
            )

    @property
    def ignores(self) -> bool:
        """Whether the mask has pixels of which nobody says what they are."""
        return bool((self.mask == IGNORED).any())

    def store(self, images: Path, labels: Path) -> None:
        """Write the picture and the mask as PNG; raises OSError where they cannot be written."""
        _write(_image_file(images, self.name), cv2.cvtColor(self.image, cv2.COLOR_RGB2BGR))
        _write(_mask_file(labels, self.name), self.mask)


class PageSource(CaseSource, Protocol):
    """A source whose cases are pages."""

    def cases(self, site: str) -> Iterator[PageCase]:
        """The site's pages in a fixed order; raises SiteDataError where they cannot be read."""
        ...


def stored_page(images: Path, labels: Path, name: str, patient_id: str) -> PageCase:
    """The page that `PageCase.store` wrote; raises PageError where it is gone or cannot be read."""
    image = read_page(PageFile(_image_file(images, name), 1, name)).image
    return PageCase(name, patient_id, image, read_mask(_mask_file(labels, name)).labels)


def _image_file(images: Path, name: str) -> Path:
    return images / f"{name}_0000{FILE_ENDING}"


def _mask_file(labels: Path, name: str) -> Path:
    return labels / f"{name}{FILE_ENDING}"


def _write(path: Path, pixels: UInt8[np.ndarray, "h w *channels"]) -> None:
    _, encoded = cv2.imencode(FILE_ENDING, pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    path.write_bytes(encoded.tobytes())
