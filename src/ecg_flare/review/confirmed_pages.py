"""The confirmed pages of a folder as pages that train: NAME.png with NAME.mask.png, in a folder of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ecg_flare.digitize.archive.identity import READ_BY, code_version, digest_of, file_digest, settings_text
from ecg_flare.digitize.files.output import encode_png
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.documents import Fields
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.errors import EcgFlareError, ReviewError, StorageError
from ecg_flare.review.folder import ReviewFolder, ReviewPage
from ecg_flare.review.open_page import OpenPage
from ecg_flare.review.training_page import training_page
from ecg_flare.storage import write_atomically, write_json

FOLDER: Final = "confirmed"
"""Below the folder of readings."""

INDEX: Final = "drawn.index"
"""What each mask was drawn from, as a digest; '' of one that is being drawn."""

DRAWN_BY: Final = tuple(f"review/{name}.py" for name in ("confirmed_pages", "training_page", "unexplained_ink"))
"""What draws masks, beside all that reads pages."""

PATIENTS_FILE: Final = "patients.csv"

_MAX_TOLD: Final = 10
_LOOK: Final = ": look at it again with `ecg-flare review`"

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
    """Draw the masks of all pages of which a lead is confirmed.

    A mask is kept where picture, decisions, recording, settings and code are those that it was drawn from.

    A page that is confirmed no more is removed. The patients.csv of the folder, if it has one, comes along.

    Raises ReviewError where no page is confirmed, StorageError where the folder cannot be written.
    """
    target = reviewed.folder / FOLDER
    index = _Index.read(target)
    kept: dict[str, str] = {}
    drawn, left_out = 0, []
    for page in watched(reviewed.pages()):
        try:
            if not reviewed.review_of(page.name).confirmed:
                raise ReviewError("no lead of it is confirmed")
            state = _state(page, reviewed.folder, options)
            if not index.holds(page.name, state):
                index.note(page.name, "")
                _draw(page, reviewed.folder, target, options)
                index.note(page.name, state)
                drawn += 1
        except StorageError:
            raise
        except EcgFlareError as error:
            left_out.append((page.name, str(error)))
            continue
        kept[page.name] = state
    index.keep(kept)
    if not kept:
        why = "".join(f"\n  {name}: {reason}" for name, reason in left_out[:_MAX_TOLD])
        raise ReviewError(
            f"no page of {reviewed.folder} can train: confirm leads with `ecg-flare review {reviewed.folder}`{why}"
        )
    if (patients := reviewed.folder / PATIENTS_FILE).exists():
        shutil.copyfile(patients, target / PATIENTS_FILE)
    return ConfirmedPages(target, tuple(sorted(kept)), drawn, tuple(left_out))


class _Index:
    """What each mask of a folder was drawn from, always on disk: an ended run leaves no mask that is not known."""

    def __init__(self, target: Path, states: dict[str, str]) -> None:
        self._target = target
        self._states = states

    @classmethod
    def read(cls, target: Path) -> _Index:
        """An index that is missing or damaged is one of no masks."""
        try:
            found = json.loads((target / INDEX).read_text())
        except (OSError, ValueError):
            found = {}
        return cls(target, found if isinstance(found, dict) else {})

    def holds(self, name: str, state: str) -> bool:
        return self._states.get(name) == state and all(path.exists() for path in _files(self._target, name))

    def note(self, name: str, state: str) -> None:
        self._states[name] = state
        write_json(self._target / INDEX, self._states)

    def keep(self, kept: Mapping[str, str]) -> None:
        """Remove all masks but these."""
        for name in set(self._states) - set(kept):
            for path in _files(self._target, name):
                path.unlink(missing_ok=True)
        if self._states:
            self._states = dict(kept)
            write_json(self._target / INDEX, self._states)


def _draw(page: ReviewPage, folder: Path, target: Path, options: ReadingOptions) -> None:
    opened = OpenPage(folder, page, replace(options, segmenter=_segmenter(page)))
    if opened.offered:
        raise ReviewError(f"{opened.offered.rstrip('.')}{_LOOK}")
    if opened.result is None:
        raise ReviewError(opened.error)
    _check_same(opened, opened.result.recording, folder)
    drawn = training_page(opened.corrected, opened.result, opened.corrections, opened.review.confirmed)
    picture, mask = _files(target, page.name)
    _write(picture, encode_png(drawn.image))
    _write(mask, encode_png(np.repeat(drawn.mask[:, :, None], 3, axis=2)))


def _files(target: Path, name: str) -> tuple[Path, Path]:
    """Where a page and its mask stand."""
    return target / f"{name}.png", target / f"{name}.mask.png"


def _write(path: Path, data: bytes) -> None:
    write_atomically(path, lambda file: file.write(data))


def _segmenter(page: ReviewPage) -> str:
    """Who found the traces when the page was reviewed."""
    review = Fields((page.report or {}).get("review", {}), f"{page.name}.json, review", ReviewError)
    return str(review.text("segmenter", "auto"))


def _check_same(opened: OpenPage, read: Recording, folder: Path) -> None:
    """Refuse a page whose confirmed leads are not read as they were then, as by another version of this package.

    `read` is its recording now. Raises ReviewError or RecordError.
    """
    then = read_wfdb(folder / opened.page.name)
    if read.n_samples != then.n_samples:
        raise ReviewError(f"it has {read.n_samples} samples now and had {then.n_samples} when it was confirmed{_LOOK}")
    before, now = (
        np.concatenate([each.lead(lead.span.lead)[lead.span.samples(read.fs_hz)] for lead in opened.confirmed_leads])
        for each in (then, read)
    )
    both = np.isfinite(now) & np.isfinite(before)
    other = float(np.mean(np.isfinite(now) != np.isfinite(before)))
    error = float(np.sqrt(np.mean((now[both] - before[both]) ** 2))) if both.any() else np.inf
    if other > SAME_SHARE or error > SAME_MV:
        raise ReviewError(f"it is read otherwise now than when it was confirmed (by {error:.3f} mV){_LOOK}")


def _state(page: ReviewPage, folder: Path, options: ReadingOptions) -> str:
    """What a page's mask follows from, as a digest: picture, decisions, what the reading was told, recording, code."""
    review = (page.report or {}).get("review", {})
    if not isinstance(review.get("head"), str):
        raise ReviewError(f"it was read again after it was reviewed{_LOOK}")
    if page.source is None:
        raise ReviewError(page.problem)
    try:
        files = [
            file_digest(path) for path in (page.source.path, folder / f"{page.name}.hea", folder / f"{page.name}.dat")
        ]
    except OSError as error:
        raise ReviewError(f"its picture or its recording cannot be read: {error}") from error
    settings = settings_text(replace(options, segmenter=_segmenter(page)))
    code = code_version(*READ_BY, *DRAWN_BY)
    return digest_of(json.dumps([files, page.source.number, review, settings, code], sort_keys=True))
