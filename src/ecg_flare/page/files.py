"""Pages on disk: what `ecg-flare render` writes, and what a folder of pages for training holds.

A page NAME is

    NAME.png                the image
    NAME.mask.png           the label mask, values of `raster.Label`
    NAME.json               where everything is printed (`PageTruth`)
    NAME.hea, NAME.dat      what is printed of the recording, as a WFDB record: NaN where nothing is
    patients.csv            in the folder: whose page each is
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.ecg.record import Recording, write_wfdb
from ecg_flare.errors import PageError, StorageError
from ecg_flare.page.page import Page
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page
from ecg_flare.page.truth import PageTruth
from ecg_flare.storage import write_atomically

MASK_ENDING: Final = ".mask.png"
PATIENTS_FILE: Final = "patients.csv"


def save_page(page: Page, recording: Recording, folder: Path, name: str) -> Path:
    """Write a page, its mask, its truth and what it prints of its recording; returns the image's path.

    `name` is letters, digits, '-' and '_'. Raises RecordError for another name and StorageError where the folder
    cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"Cannot make the folder {folder}: {error.strerror}.") from error
    write_wfdb(as_printed(recording, page.truth), folder, name)
    _write(folder / f"{name}.json", page.truth.to_json().encode())
    _write(folder / f"{name}{MASK_ENDING}", _png(page.mask))
    image_path = folder / f"{name}.png"
    _write(image_path, _png(cv2.cvtColor(page.image, cv2.COLOR_RGB2BGR)))
    return image_path


def as_printed(recording: Recording, truth: PageTruth) -> Recording:
    """The recording with NaN wherever the page does not show it: what a perfect reader could find."""
    shown = np.zeros(recording.signal_mv.shape, dtype=bool)
    for trace in truth.traces:
        first, last = (round(time_s * recording.fs_hz) for time_s in (trace.start_s, trace.end_s))
        shown[recording.lead_names.index(trace.lead), first:last] = True
    return replace(recording, signal_mv=np.where(shown, recording.signal_mv, np.float32(np.nan)))


def load_page(image_path: Path) -> Page:
    """Read what `save_page` wrote; the mask is drawn from the truth.

    Raises PageError where the image or its truth is missing, damaged, or of another page.
    """
    truth_path = image_path.with_suffix(".json")
    try:
        truth = PageTruth.from_json(truth_path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PageError(f"Cannot read the page {image_path} and its truth {truth_path.name}: {error}.") from error
    image = read_page(PageFile(image_path, 1, image_path.stem)).image
    if image.shape[:2] != (truth.height_px, truth.width_px):
        raise PageError(
            f"{image_path} has {image.shape[0]} x {image.shape[1]} pixels, its truth describes "
            f"{truth.height_px} x {truth.width_px}; render the page again."
        )
    return Page(image, truth)


def add_patients(folder: Path, patients: Mapping[str, str]) -> Path:
    """Note whose pages these are (page name -> patient), beside those that the folder's patients.csv has already."""
    path = folder / PATIENTS_FILE
    known = {}
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            known = {row["page"]: row["patient_id"] for row in csv.DictReader(file)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["page", "patient_id"])
    writer.writerows(sorted((known | dict(patients)).items()))
    _write(path, text.getvalue().encode())
    return path


def _png(pixels: UInt8[np.ndarray, "h w *c"]) -> bytes:
    _, encoded = cv2.imencode(".png", pixels)
    return encoded.tobytes()


def _write(path: Path, data: bytes) -> None:
    write_atomically(path, lambda file: file.write(data) and None)
