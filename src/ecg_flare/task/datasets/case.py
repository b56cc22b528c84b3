"""One case of a data set in nnU-Net's raw format: files that are copied as they are, once they fit each other."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg_flare.errors import SiteDataError
from ecg_flare.nnunet.raw_files import RawImage, read_raw

_SAME_SPACING = 1e-3


@dataclass(frozen=True)
class FileCase:
    """The files of a case.

    Attributes:
        name: what the files begin with.
        patient_id: whose it is.
        images: a file for each channel, or one that holds them all.
        labels: the file of its labels.
        ending: of all of them.
        ignored: value of the labels that is left out; None where the data set has none.
    """

    name: str
    patient_id: str
    images: tuple[Path, ...]
    labels: Path
    ending: str
    ignored: int | None = None

    @property
    def ignores(self) -> bool:
        """Whether the data set has labels that are left out: its description says so, whatever this case has."""
        return self.ignored is not None

    def store(self, images: Path, labels: Path) -> None:
        """Copy the files; raises OSError where they cannot be read or written."""
        for channel, file in enumerate(self.images):
            shutil.copyfile(file, images / f"{self.name}_{channel:04d}{self.ending}")
        shutil.copyfile(self.labels, labels / f"{self.name}{self.ending}")


def check_case(case: FileCase, reader: str, channels: int, values: Collection[int]) -> RawImage:
    """Read a case, and hold its image and labels to each other and to the data set's description; gives the image.

    Raises SiteDataError naming the file and what is wrong: it cannot be read, it has another number of channels (or a
    fourth dimension), image and labels differ in shape or spacing, or a label is not in dataset.json.
    """
    image = read_raw(reader, case.images)
    if len(image.values) != channels:
        raise SiteDataError(
            f"{case.images[0]} gives {len(image.values)} channels, dataset.json names {channels}",
            "a channel is a file of its own (_0000, _0001), and no file has a fourth dimension",
        )
    truth = read_raw(reader, (case.labels,), labels=True)
    if truth.values.shape[1:] != image.values.shape[1:] or len(truth.values) != 1:
        raise SiteDataError(
            f"{case.labels} has the shape {_size(truth)}, its image {_size(image)}", "export both on one grid"
        )
    if not np.allclose(truth.spacing, image.spacing, rtol=_SAME_SPACING):
        raise SiteDataError(
            f"{case.labels} has the spacing {_numbers(truth.spacing)}, its image {_numbers(image.spacing)}",
            "export both on one grid",
        )
    found = np.unique(truth.values)
    if strange := [value for value in found.tolist() if value not in values]:
        known = ", ".join(map(str, sorted(values)))
        raise SiteDataError(f"{case.labels} has the label {strange[0]:g}, dataset.json knows {known}", "correct either")
    return image


def _size(image: RawImage) -> str:
    return " x ".join(map(str, image.values.shape[1:]))


def _numbers(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
