"""The confirmed pages of a folder as pages that train: NAME.png with NAME.mask.png, in a folder of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ecg_flare import __version__
from ecg_flare.digitize.files.output import encode_png
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.documents import Fields
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.errors import EcgFlareError, ReviewError
from ecg_flare.review.folder import ReviewFolder, ReviewPage
from ecg_flare.review.open_page import OpenPage
from ecg_flare.review.training_page import training_page
from ecg_flare.storage import write_atomically, write_json

FOLDER: Final = "confirmed"
"""Below the folder of readings."""

INDEX: Final = "drawn.index"
"""Which decisions each mask was drawn from."""

PATIENTS_FILE: Final = "patients.csv"

SAME_MV, SAME_SHARE = 0.02, 0.005
"""A recording that differs by no more, in mV and in the share of samples that are known, is the one confirmed."""


@dataclass(frozen=True)
class ConfirmedPages:
    """What was drawn: the folder, the names of its pages, how many are new, and why others are not among them."""

    folder: Path
    names: tuple[str, ...]
    drawn: int
    left_out: tuple[tuple[str, str], ...]


def draw_confirmed(
    reviewed: ReviewFolder,
    options: ReadingOptions,
    watched: Callable[[Iterable[ReviewPage]], Iterable[ReviewPage]] = lambda pages: pages,
) -> ConfirmedPages:
    """Draw the masks of all pages of which a lead is confirmed; one whose decisions are the same is kept.

    A page that is confirmed no more is removed. The patients.csv of the folder, if it has one, comes along.

    Raises ReviewError where no page is confirmed, StorageError where the folder cannot be written.
    """
    target = reviewed.folder / FOLDER
    index = _read_index(target / INDEX)
    kept: dict[str, str] = {}
    drawn, left_out = 0, []
    for page in watched(reviewed.pages()):
        try:
            review = reviewed.review_of(page.name)
            if not review.confirmed:
                left_out.append((page.name, "no lead of it is confirmed"))
                continue
            state = _state(page)
            if index.get(page.name) != state or not (target / f"{page.name}.mask.png").exists():
                _draw(page, reviewed.folder, target, options)
                drawn += 1
        except EcgFlareError as error:
            left_out.append((page.name, str(error)))
            continue
        kept[page.name] = state
    if not kept:
        raise ReviewError(
            f"no page of {reviewed.folder} is confirmed: confirm leads with `ecg-flare review {reviewed.folder}`"
        )
    for name in set(index) - set(kept):
        for ending in (".png", ".mask.png"):
            (target / f"{name}{ending}").unlink(missing_ok=True)
    write_json(target / INDEX, kept)
    if (patients := reviewed.folder / PATIENTS_FILE).exists():
        shutil.copyfile(patients, target / PATIENTS_FILE)
    return ConfirmedPages(target, tuple(sorted(kept)), drawn, tuple(left_out))


def _draw(page: ReviewPage, folder: Path, target: Path, options: ReadingOptions) -> None:
    opened = OpenPage(folder, page, replace(options, segmenter=_segmenter(page)))
    if opened.offered:
        raise ReviewError(f"{opened.offered} Look at it again with `ecg-flare review`.")
    if opened.result is None:
        raise ReviewError(opened.error)
    _check_same(opened.result.recording, folder, page.name)
    drawn = training_page(opened.corrected, opened.result, opened.corrections, opened.review.confirmed)
    _write(target / f"{page.name}.png", encode_png(drawn.image))
    _write(target / f"{page.name}.mask.png", encode_png(np.repeat(drawn.mask[:, :, None], 3, axis=2)))


def _write(path: Path, data: bytes) -> None:
    write_atomically(path, lambda file: file.write(data))


def _segmenter(page: ReviewPage) -> str:
    """Who found the traces when the page was reviewed."""
    review = Fields((page.report or {}).get("review", {}), f"{page.name}.json, review", ReviewError)
    return str(review.text("segmenter", "auto"))


def _check_same(recording: Recording, folder: Path, name: str) -> None:
    """Refuse a page that is not read as it was when somebody confirmed it, as by another version of this package.

    Raises ReviewError or RecordError.
    """
    confirmed = read_wfdb(folder / name)
    samples = min(confirmed.n_samples, recording.n_samples)
    now, then = recording.signal_mv[:, :samples], confirmed.signal_mv[:, :samples]
    both = np.isfinite(now) & np.isfinite(then)
    other = float(np.mean(np.isfinite(now) != np.isfinite(then)))
    error = float(np.sqrt(np.mean((now[both] - then[both]) ** 2))) if both.any() else np.inf
    if recording.n_samples != confirmed.n_samples or other > SAME_SHARE or error > SAME_MV:
        raise ReviewError(
            f"it is read otherwise now than when it was confirmed (by {error:.3f} mV): look at it again with "
            "`ecg-flare review`"
        )


def _state(page: ReviewPage) -> str:
    """What a page's mask follows from: the report names the journal's head, and so the decisions and the picture."""
    head = (page.report or {}).get("review", {}).get("head")
    if not isinstance(head, str):
        raise ReviewError("it was read again after it was reviewed: look at it again with `ecg-flare review`")
    return f"{head} {__version__}"


def _read_index(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
