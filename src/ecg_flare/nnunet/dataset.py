"""A site's cases on disk as nnU-Net wants them: raw dataset, preprocessed cases, and a split by patient.

A prepared dataset is cached in a folder named by a hash of everything that determines it, built in a temporary folder
and renamed into place, so that a cache entry is either whole or absent. An entry whose files do not match its manifest
is built again.
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
from dataclasses import asdict, dataclass, replace
from functools import cache as memoize
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import ecg_flare
from ecg_flare.errors import SiteDataError, StorageError
from ecg_flare.nnunet.case import CaseSource, json_digestible
from ecg_flare.nnunet.environment import nnunet_environment
from ecg_flare.nnunet.kinds import task_of
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.split import Split, split_each_alone, split_patients

if TYPE_CHECKING:
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

MANIFEST = "manifest.json"
_FORMAT = 2
_LOG_INTERVAL_S = 5.0
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class CaseEntry:
    """One prepared case: its name, whose it is, and on which side of the split it stands."""

    name: str
    patient_id: str
    split: Split


@dataclass(frozen=True)
class PreparedDataset:
    """A site's prepared cases.

    Attributes:
        folder: the cache entry; `raw/` and `preprocessed/` below it are nnU-Net's.
        plan_hash: of the plan that it was preprocessed for.
        dataset_name: nnU-Net's name of it.
        data_identifier: nnU-Net's name of the preprocessed folder.
        entries: the cases in the source's order.
        reused: whether an earlier entry of the cache was found.
    """

    folder: Path
    plan_hash: str
    dataset_name: str
    data_identifier: str
    entries: tuple[CaseEntry, ...]
    reused: bool = False

    def names(self, split: Split) -> list[str]:
        """Names of the cases on one side of the split."""
        return [entry.name for entry in self.entries if entry.split == split]

    @property
    def patients(self) -> dict[str, str]:
        """Name of each case -> whose it is."""
        return {entry.name: entry.patient_id for entry in self.entries}

    @property
    def n_patients(self) -> int:
        """How many persons the cases are of."""
        return len(set(self.patients.values()))

    @property
    def raw(self) -> Path:
        """nnU-Net's raw dataset: imagesTr, labelsTr, dataset.json."""
        return self.folder / "raw" / self.dataset_name

    @property
    def raw_images(self) -> Path:
        """The folder of the raw images, a file a channel."""
        return self.raw / "imagesTr"

    @property
    def raw_labels(self) -> Path:
        """The folder of the raw labels."""
        return self.raw / "labelsTr"

    @property
    def preprocessed(self) -> Path:
        """The folder to give nnU-Net as `nnUNet_preprocessed`."""
        return self.folder / "preprocessed"

    @property
    def preprocessed_cases(self) -> Path:
        """The folder of nnU-Net's preprocessed cases."""
        return self.preprocessed / self.dataset_name / self.data_identifier

    def nnunet_dataset_json(self, plan: Plan) -> dict[str, Any]:
        """The plan's dataset description, as these cases need it; raises StorageError where the raw dataset is gone."""
        try:
            labels = json.loads((self.raw / "dataset.json").read_text())["labels"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{self.raw / 'dataset.json'} cannot be read: prepare again ({error})") from error
        return _labels(plan, ignores="ignore" in labels)


@dataclass(frozen=True)
class SiteCases:
    """A site's cases: where they come from, whose, for which plan, and the folder where prepared ones are kept."""

    source: CaseSource
    site: str
    plan: Plan
    cache: Path


@dataclass(frozen=True)
class PrepareSettings:
    """How a site's cases are prepared.

    Attributes:
        validation_fraction: of the patients that are not trained on, 0 to 1.
        min_patients: fewer are refused.
        preprocess: False writes the raw dataset only, which is all that evaluation needs.
        alone: whether a patient's side of the split follows from that patient alone, as a promise to patients needs.
    """

    validation_fraction: float = 0.2
    min_patients: int = 2
    preprocess: bool = True
    alone: bool = False


ALL_FOR_TRAINING: Final = PrepareSettings(validation_fraction=0, min_patients=1)
"""No patient is left out of training."""

SOME_HELD_OUT: Final = PrepareSettings(min_patients=1, alone=True)
"""Some patients are left out of training, and no patient decides about another."""

TO_EVALUATE: Final = PrepareSettings(min_patients=1, preprocess=False)
"""Cases that nothing is trained on."""

DEFAULT_SETTINGS: Final = PrepareSettings()


def prepare(
    source: CaseSource,
    site: str,
    plan: Plan,
    cache: Path,
    settings: PrepareSettings = DEFAULT_SETTINGS,
    *,
    log: Callable[[str], None] = print,
) -> PreparedDataset:
    """Bring a site's cases into nnU-Net's form, or find them in the cache.

    Raises:
        SiteDataError: no cases, fewer patients than `settings.min_patients`, or a case that cannot be read.
        StorageError: the cache folder cannot be written.
    """
    task_of(plan).check_source(source, site)
    determined_by = {
        "format": _FORMAT,
        "code": _code_digest(task_of(plan).made_by),
        "kind": f"{type(source).__module__}.{type(source).__qualname__}",
        "source": source.describe(site),
        "site": site,
        "plan": plan.hash,
        "validation_fraction": settings.validation_fraction,
        "preprocess": settings.preprocess,
        "alone": settings.alone,
    }
    key = hashlib.sha256(json_digestible(determined_by).encode()).hexdigest()
    folder = cache / f"{re.sub('[^A-Za-z0-9]+', '-', site)[:40]}-{key[:24]}"
    found = _find(folder, plan)
    if found is not None and found.n_patients >= settings.min_patients:
        return found
    started = time.monotonic()
    with _temporary_folder(cache) as building:
        patients = _write(source, site, plan, building, preprocess=settings.preprocess, log=log)
        _check_patients(patients, site, settings.min_patients)
        by = split_each_alone if settings.alone else split_patients
        split = by(patients.values(), settings.validation_fraction)
        entries = tuple(CaseEntry(name, patient, split[patient]) for name, patient in patients.items())
        with _storing(cache):
            _write_manifest(building, plan, entries)
            _move_into_place(building, folder)
    log(f"prepared {len(entries)} cases of {len(split)} patients in {time.monotonic() - started:.0f} s")
    return replace(open_dataset(folder, plan), reused=False)


def open_dataset(folder: Path, plan: Plan) -> PreparedDataset:
    """A dataset that `prepare` built for this plan; raises StorageError where it is absent or damaged."""
    found = _find(folder, plan)
    if found is None:
        raise StorageError(f"{folder} holds no whole dataset for plan {plan.name!r} ({plan.hash[:12]}): prepare again")
    return found


def _check_patients(patients: Mapping[str, str], site: str, min_patients: int) -> None:
    if not patients:
        raise SiteDataError(f"site {site!r} has no cases: its source gave none")
    n_patients = len(set(patients.values()))
    if n_patients < min_patients:
        raise SiteDataError(
            f"site {site!r} has cases of {n_patients} patient(s), at least {min_patients} are needed "
            "to validate on another person than was trained on"
        )


def _write(
    source: CaseSource, site: str, plan: Plan, folder: Path, *, preprocess: bool, log: Callable[[str], None]
) -> dict[str, str]:
    """Write all cases, then preprocess them: only then it is known whether some have parts that are left out.

    Gives case -> patient.
    """
    dataset = _dataset(folder, plan, entries=())
    with _storing(folder):
        for subfolder in (dataset.raw_images, dataset.raw_labels, dataset.preprocessed_cases):
            subfolder.mkdir(parents=True)
    patients: dict[str, str] = {}
    ignores = False
    for case in _progress(source.cases(site), f"reading cases of {site}", log):
        _check_name(case.name, patients, site)
        with _storing(folder):
            case.store(dataset.raw_images, dataset.raw_labels)
        patients[case.name] = case.patient_id
        ignores |= case.ignores
    with _storing(folder):
        description = {**_labels(plan, ignores=ignores), "numTraining": len(patients)}
        (dataset.raw / "dataset.json").write_text(json.dumps(description, indent=1))
        preprocessor = _preprocessor(plan) if preprocess else None
        if preprocessor is not None:
            for name in _progress(patients, f"preparing cases of {site}", log):
                _preprocess(preprocessor, name, dataset, plan)
    return patients


def _dataset(folder: Path, plan: Plan, entries: tuple[CaseEntry, ...]) -> PreparedDataset:
    return PreparedDataset(
        folder, plan.hash, plan.plans["dataset_name"], plan.configuration["data_identifier"], entries
    )


def _labels(plan: Plan, *, ignores: bool) -> dict[str, Any]:
    """The plan's dataset description; parts that are left out, where cases have some, are no class of the network."""
    description = plan.nnunet_dataset_json()
    ignored = task_of(plan).ignored
    if not ignores or ignored is None:
        return description
    return {**description, "labels": {**description["labels"], "ignore": ignored}}


def _check_name(name: str, seen: Mapping[str, str], site: str) -> None:
    if name in seen:
        raise SiteDataError(f"site {site!r} has two cases named {name!r}: names must be unique")
    if not _SAFE_NAME.fullmatch(name):
        raise SiteDataError(f"case name {name!r} of site {site!r} must be letters, digits, '-', '_' and '.' only")


def _preprocessor(plan: Plan) -> tuple[DefaultPreprocessor, PlansManager]:
    with nnunet_environment():
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        return DefaultPreprocessor(verbose=False), PlansManager(plan.nnunet_plans())


def _preprocess(
    preprocessor: tuple[DefaultPreprocessor, PlansManager],
    name: str,
    dataset: PreparedDataset,
    plan: Plan,
) -> None:
    run, manager = preprocessor
    dataset_json = dataset.nnunet_dataset_json(plan)
    ending = dataset_json["file_ending"]
    images = sorted(dataset.raw_images.glob(f"{name}_[0-9][0-9][0-9][0-9]{ending}"))
    try:
        run.run_case_save(
            str(dataset.preprocessed_cases / name),
            [str(image) for image in images],
            str(dataset.raw_labels / f"{name}{ending}"),
            manager,
            manager.get_configuration(plan.configuration_name),
            dataset_json,
        )
    except RuntimeError as error:  # so blosc2 reports a file that it cannot write
        raise StorageError(f"cannot write case {name!r} below {dataset.folder}: {error} (is the disk full?)") from error


def _write_manifest(folder: Path, plan: Plan, entries: tuple[CaseEntry, ...]) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "plan_hash": plan.hash,
        "cases": [asdict(entry) for entry in entries],
        "files": {path.relative_to(folder).as_posix(): _file_digest(path) for path in files},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


def _find(folder: Path, plan: Plan) -> PreparedDataset | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        whole = all(_file_digest(folder / name) == digest for name, digest in manifest["files"].items())
        entries = tuple(CaseEntry(**entry) for entry in manifest["cases"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole or manifest["plan_hash"] != plan.hash:
        return None
    return replace(_dataset(folder, plan, entries), reused=True)


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@memoize
def _code_digest(made_by: tuple[str, ...]) -> str:
    # Code that changes what a case is must not meet cases that an older version of it made.
    root = Path(ecg_flare.__file__).parent
    parts = [root / name for name in ("nnunet/case.py", "nnunet/dataset.py", "nnunet/split.py", *made_by)]
    files = sorted(path for part in parts for path in (part.rglob("*") if part.is_dir() else [part]))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files if path.suffix in (".py", ".yaml"))).hexdigest()


def _move_into_place(building: Path, folder: Path) -> None:
    if folder.exists():  # damaged, or another process was quicker with the same content
        shutil.rmtree(folder)
    building.rename(folder)


@contextlib.contextmanager
def _temporary_folder(cache: Path) -> Iterator[Path]:
    with _storing(cache):
        cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _storing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StorageError(f"cannot write prepared cases below {folder}: {reason}") from error


def _progress(cases: Iterable[_Item], title: str, log: Callable[[str], None]) -> Iterator[_Item]:
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
