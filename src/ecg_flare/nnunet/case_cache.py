"""The cache of prepared cases: a folder an entry, named by a hash of everything that determines it.

An entry is built in a temporary folder and renamed into place, so that it is either whole or absent. One whose files do
not match its manifest is built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache as memoize
from pathlib import Path
from typing import Any, Final, TypeVar

import ecg_flare
from ecg_flare.errors import SiteDataError, StorageError
from ecg_flare.nnunet.case import CaseSource, json_digestible
from ecg_flare.nnunet.settings import PrepareSettings
from ecg_flare.nnunet.split import Split, split_each_alone, split_patients

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 2
_LOG_INTERVAL_S: Final = 5.0
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class CaseEntry:
    """One prepared case: its name, whose it is, and on which side of the split it stands."""

    name: str
    patient_id: str
    split: Split


@dataclass(frozen=True)
class CacheOrder:
    """What is wanted of the cache.

    Attributes:
        cache: its folder.
        source: of the cases.
        site: whose cases.
        plan_hash: of the plan that they are prepared for.
        made_by: files and folders of the package whose code determines the cases.
        settings: how they are prepared.
    """

    cache: Path
    source: CaseSource
    site: str
    plan_hash: str
    made_by: tuple[str, ...]
    settings: PrepareSettings

    @property
    def folder(self) -> Path:
        """The folder of the entry, whether it is there or not."""
        determined_by = {
            "format": _FORMAT,
            "code": _code_digest(self.made_by),
            "kind": f"{type(self.source).__module__}.{type(self.source).__qualname__}",
            "source": self.source.describe(self.site),
            "site": self.site,
            "plan": self.plan_hash,
            "validation_fraction": self.settings.validation_fraction,
            "preprocess": self.settings.preprocess,
            "alone": self.settings.alone,
        }
        key = hashlib.sha256(json_digestible(determined_by).encode()).hexdigest()
        return self.cache / f"{re.sub('[^A-Za-z0-9]+', '-', self.site)[:40]}-{key[:24]}"


@dataclass(frozen=True)
class CacheEntry:
    """An entry of the cache: its folder, its cases in the source's order, and whether it was there before."""

    folder: Path
    entries: tuple[CaseEntry, ...]
    reused: bool


def fetch(order: CacheOrder, write: Callable[[Path], Mapping[str, str]], log: Callable[[str], None]) -> CacheEntry:
    """The entry, found or built: `write(folder)` writes the cases into a folder and gives case -> patient.

    Raises:
        SiteDataError: no cases, or fewer patients than `min_patients`.
        StorageError: the cache folder cannot be written.
    """
    folder = order.folder
    found = find(folder, order.plan_hash)
    if found is not None and count_patients(found) >= order.settings.min_patients:
        return CacheEntry(folder, found, reused=True)
    started = time.monotonic()
    with _temporary_folder(order.cache) as building:
        patients = write(building)
        _check_patients(patients, order.site, order.settings.min_patients)
        by = split_each_alone if order.settings.alone else split_patients
        split = by(patients.values(), order.settings.validation_fraction)
        entries = tuple(CaseEntry(name, patient, split[patient]) for name, patient in patients.items())
        with storing(order.cache):
            _write_manifest(building, order.plan_hash, entries)
            _move_into_place(building, folder)
    log(f"prepared {len(entries)} cases of {len(split)} patients in {time.monotonic() - started:.0f} s")
    return CacheEntry(folder, entries, reused=False)


def find(folder: Path, plan_hash: str) -> tuple[CaseEntry, ...] | None:
    """The cases of an entry that is whole and for that plan; None for anything else."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        whole = all(_file_digest(folder / name) == digest for name, digest in manifest["files"].items())
        entries = tuple(CaseEntry(**entry) for entry in manifest["cases"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return entries if whole and manifest["plan_hash"] == plan_hash else None


def count_patients(entries: Iterable[CaseEntry]) -> int:
    """How many persons the cases are of."""
    return len({entry.patient_id for entry in entries})


def patients_of(entries: Iterable[CaseEntry]) -> dict[str, str]:
    """Name of each case -> whose it is."""
    return {entry.name: entry.patient_id for entry in entries}


def names_of(entries: Iterable[CaseEntry], split: Split) -> list[str]:
    """Names of the cases on one side of the split."""
    return [entry.name for entry in entries if entry.split == split]


def check_name(name: str, seen: Mapping[str, str], site: str) -> None:
    """Raise SiteDataError for a case's name that another one has, or that cannot be a file's."""
    if name in seen:
        raise SiteDataError(f"site {site!r} has two cases named {name!r}: names must be unique")
    if not _SAFE_NAME.fullmatch(name):
        raise SiteDataError(f"case name {name!r} of site {site!r} must be letters, digits, '-', '_' and '.' only")


@contextlib.contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Raise StorageError, naming the folder, where the block cannot write."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StorageError(f"cannot write prepared cases below {folder}: {reason}") from error


def progress(cases: Iterable[_Item], title: str, log: Callable[[str], None]) -> Iterator[_Item]:
    """The cases, with a bar on a terminal and a line every few seconds otherwise."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(cases, desc=title, unit="case")
        return
    last = time.monotonic()
    for done, case in enumerate(cases):
        if time.monotonic() - last > _LOG_INTERVAL_S:
            last = time.monotonic()
            log(f"{title}: {done} done")
        yield case


def _check_patients(patients: Mapping[str, str], site: str, min_patients: int) -> None:
    if not patients:
        raise SiteDataError(f"site {site!r} has no cases: its source gave none")
    n_patients = len(set(patients.values()))
    if n_patients < min_patients:
        raise SiteDataError(
            f"site {site!r} has cases of {n_patients} patient(s), at least {min_patients} are needed "
            "to validate on another person than was trained on"
        )


def _write_manifest(folder: Path, plan_hash: str, entries: tuple[CaseEntry, ...]) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest: dict[str, Any] = {
        "plan_hash": plan_hash,
        "cases": [asdict(entry) for entry in entries],
        "files": {path.relative_to(folder).as_posix(): _file_digest(path) for path in files},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@memoize
def _code_digest(made_by: tuple[str, ...]) -> str:
    # Code that changes what a case is must not meet cases that an older version of it made.
    root = Path(ecg_flare.__file__).parent
    parts = [root / name for name in ("nnunet/case.py", "nnunet/case_cache.py", "nnunet/split.py", *made_by)]
    files = sorted(path for part in parts for path in (part.rglob("*") if part.is_dir() else [part]))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files if path.suffix in (".py", ".yaml"))).hexdigest()


def _move_into_place(building: Path, folder: Path) -> None:
    if folder.exists():  # damaged, or another process was quicker with the same content
        shutil.rmtree(folder)
    building.rename(folder)


@contextlib.contextmanager
def _temporary_folder(cache: Path) -> Iterator[Path]:
    with storing(cache):
        cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
