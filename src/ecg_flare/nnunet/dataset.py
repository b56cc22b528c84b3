"""A site's pages on disk as nnU-Net wants them: raw dataset, preprocessed cases, and a split by patient.

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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache as memoize
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import cv2

import ecg_flare
from ecg_flare.errors import PageError, SiteDataError, StorageError
from ecg_flare.nnunet.case import Case, PageSource, json_digestible
from ecg_flare.nnunet.environment import nnunet_environment
from ecg_flare.nnunet.plan import CONFIGURATION, FILE_ENDING, Plan
from ecg_flare.page.mask_files import read_mask
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.raster import IGNORED
from ecg_flare.page.reader import read_page

if TYPE_CHECKING:
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

MANIFEST = "manifest.json"
_FORMAT = 1
_LOG_INTERVAL_S = 5.0
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Split = Literal["train", "val"]
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class PageEntry:
    """One prepared page: its name, whose it is, and on which side of the split it stands."""

    name: str
    patient_id: str
    split: Split


@dataclass(frozen=True)
class PreparedDataset:
    """A site's prepared pages.

    Attributes:
        folder: the cache entry; `raw/` and `preprocessed/` below it are nnU-Net's.
        plan_hash: of the plan that it was preprocessed for.
        dataset_name: nnU-Net's name of it.
        data_identifier: nnU-Net's name of the preprocessed folder.
        pages: in the source's order.
        reused: whether an earlier entry of the cache was found.
    """

    folder: Path
    plan_hash: str
    dataset_name: str
    data_identifier: str
    pages: tuple[PageEntry, ...]
    reused: bool = False

    def names(self, split: Split) -> list[str]:
        """Names of the pages on one side of the split."""
        return [page.name for page in self.pages if page.split == split]

    @property
    def n_patients(self) -> int:
        """How many persons the pages are of."""
        return len({page.patient_id for page in self.pages})

    @property
    def raw(self) -> Path:
        """nnU-Net's raw dataset: imagesTr, labelsTr, dataset.json."""
        return self.folder / "raw" / self.dataset_name

    @property
    def preprocessed(self) -> Path:
        """The folder to give nnU-Net as `nnUNet_preprocessed`."""
        return self.folder / "preprocessed"

    @property
    def preprocessed_cases(self) -> Path:
        """The folder of nnU-Net's preprocessed cases."""
        return self.preprocessed / self.dataset_name / self.data_identifier

    def nnunet_dataset_json(self, plan: Plan) -> dict[str, Any]:
        """The plan's dataset description, as these pages need it; raises StorageError where the raw dataset is gone."""
        try:
            labels = json.loads((self.raw / "dataset.json").read_text())["labels"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{self.raw / 'dataset.json'} cannot be read: prepare again ({error})") from error
        return _labels(plan, ignores="ignore" in labels)

    def cases(self, split: Split | None = None) -> Iterator[Case]:
        """The pages and masks themselves, read back from the raw dataset."""
        for page in self.pages:
            if split in (None, page.split):
                try:
                    image = read_page(PageFile(_image_file(self.raw, page.name), 1, page.name)).image
                    mask = read_mask(_label_file(self.raw, page.name)).labels
                except PageError as error:
                    raise StorageError(
                        f"the prepared page {page.name!r} in {self.folder} is gone: prepare again ({error})"
                    ) from error
                yield Case(page.name, page.patient_id, image, mask)


@dataclass(frozen=True)
class SitePages:
    """A site's pages: where they come from, whose, for which plan, and the folder where prepared ones are kept."""

    source: PageSource
    site: str
    plan: Plan
    cache: Path


@dataclass(frozen=True)
class PrepareSettings:
    """How a site's pages are prepared.

    Attributes:
        validation_fraction: of the patients that are not trained on, 0 to 1.
        min_patients: fewer are refused.
        preprocess: False writes the raw dataset only, which is all that evaluation needs.
    """

    validation_fraction: float = 0.2
    min_patients: int = 2
    preprocess: bool = True


ALL_FOR_TRAINING: Final = PrepareSettings(validation_fraction=0, min_patients=1)
"""No patient is left out of training."""

TO_EVALUATE: Final = PrepareSettings(min_patients=1, preprocess=False)
"""Pages that nothing is trained on."""

DEFAULT_SETTINGS: Final = PrepareSettings()


def split_patients(patient_ids: Iterable[str], validation_fraction: float) -> dict[str, Split]:
    """Which side of the split each patient is on.

    The order that decides is a hash of the patient's id, so that it needs no secret and adding patients moves few.
    At least one patient is on each side where there are two; a single patient is for training.
    """
    ordered = sorted(set(patient_ids), key=lambda patient: hashlib.sha256(patient.encode()).digest())
    n_val = min(max(1, round(validation_fraction * len(ordered))), len(ordered) - 1)
    if validation_fraction == 0:
        n_val = 0
    return {patient: "val" if rank < n_val else "train" for rank, patient in enumerate(ordered)}


def prepare(
    source: PageSource,
    site: str,
    plan: Plan,
    cache: Path,
    settings: PrepareSettings = DEFAULT_SETTINGS,
    *,
    log: Callable[[str], None] = print,
) -> PreparedDataset:
    """Bring a site's pages into nnU-Net's form, or find them in the cache.

    Raises:
        SiteDataError: no pages, fewer patients than `settings.min_patients`, or a page that cannot be read.
        StorageError: the cache folder cannot be written.
    """
    determined_by = {
        "format": _FORMAT,
        "code": _code_digest(),
        "kind": f"{type(source).__module__}.{type(source).__qualname__}",
        "source": source.describe(site),
        "site": site,
        "plan": plan.hash,
        "validation_fraction": settings.validation_fraction,
        "preprocess": settings.preprocess,
    }
    key = hashlib.sha256(json_digestible(determined_by).encode()).hexdigest()
    folder = cache / f"{re.sub('[^A-Za-z0-9]+', '-', site)[:40]}-{key[:24]}"
    found = _find(folder, plan)
    if found is not None and found.n_patients >= settings.min_patients:
        return found
    started = time.monotonic()
    with _temporary_folder(cache) as building:
        pages = _write(source, site, plan, building, preprocess=settings.preprocess, log=log)
        _check_patients(pages, site, settings.min_patients)
        split = split_patients((patient for _, patient in pages), settings.validation_fraction)
        entries = tuple(PageEntry(name, patient, split[patient]) for name, patient in pages)
        with _storing(cache):
            _write_manifest(building, plan, entries)
            _move_into_place(building, folder)
    log(f"prepared {len(entries)} pages of {len(split)} patients in {time.monotonic() - started:.0f} s")
    return replace(open_dataset(folder, plan), reused=False)


def open_dataset(folder: Path, plan: Plan) -> PreparedDataset:
    """A dataset that `prepare` built for this plan; raises StorageError where it is absent or damaged."""
    found = _find(folder, plan)
    if found is None:
        raise StorageError(f"{folder} holds no whole dataset for plan {plan.name!r} ({plan.hash[:12]}): prepare again")
    return found


def _check_patients(pages: list[tuple[str, str]], site: str, min_patients: int) -> None:
    if not pages:
        raise SiteDataError(f"site {site!r} has no pages: its source gave none")
    n_patients = len({patient for _, patient in pages})
    if n_patients < min_patients:
        raise SiteDataError(
            f"site {site!r} has pages of {n_patients} patient(s), at least {min_patients} are needed "
            "to validate on another person than was trained on"
        )


def _write(
    source: PageSource, site: str, plan: Plan, folder: Path, *, preprocess: bool, log: Callable[[str], None]
) -> list[tuple[str, str]]:
    dataset = PreparedDataset(
        folder, plan.hash, plan.plans["dataset_name"], plan.configuration["data_identifier"], pages=()
    )
    with _storing(folder):
        for subfolder in (dataset.raw / "imagesTr", dataset.raw / "labelsTr", dataset.preprocessed_cases):
            subfolder.mkdir(parents=True)
    pages: dict[str, str] = {}
    ignores = False
    for case in _progress(source.cases(site), f"reading pages of {site}", log):
        _check_name(case.name, pages, site)
        with _storing(folder):
            _write_raw(case, dataset.raw)
        pages[case.name] = case.patient_id
        ignores |= bool((case.mask == IGNORED).any())
    with _storing(folder):
        description = {**_labels(plan, ignores=ignores), "numTraining": len(pages)}
        (dataset.raw / "dataset.json").write_text(json.dumps(description, indent=1))
        preprocessor = _preprocessor(plan) if preprocess else None
        if preprocessor is not None:
            for name in _progress(pages, f"preparing pages of {site}", log):
                _preprocess(preprocessor, name, dataset, dataset.nnunet_dataset_json(plan))
    return list(pages.items())


def _labels(plan: Plan, *, ignores: bool) -> dict[str, Any]:
    """The plan's dataset description; pixels that are left out, where pages have some, are no class of the network."""
    description = plan.nnunet_dataset_json()
    return {**description, "labels": {**description["labels"], "ignore": IGNORED}} if ignores else description


def _check_name(name: str, seen: dict[str, str], site: str) -> None:
    if name in seen:
        raise SiteDataError(f"site {site!r} has two pages named {name!r}: names must be unique")
    if not _SAFE_NAME.fullmatch(name):
        raise SiteDataError(f"page name {name!r} of site {site!r} must be letters, digits, '-', '_' and '.' only")


def _image_file(raw: Path, name: str) -> Path:
    return raw / "imagesTr" / f"{name}_0000{FILE_ENDING}"


def _label_file(raw: Path, name: str) -> Path:
    return raw / "labelsTr" / f"{name}{FILE_ENDING}"


def _write_raw(case: Case, raw: Path) -> None:
    for path, pixels in (
        (_image_file(raw, case.name), cv2.cvtColor(case.image, cv2.COLOR_RGB2BGR)),
        (_label_file(raw, case.name), case.mask),
    ):
        _, encoded = cv2.imencode(FILE_ENDING, pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        path.write_bytes(encoded.tobytes())


def _preprocessor(plan: Plan) -> tuple[DefaultPreprocessor, PlansManager]:
    with nnunet_environment():
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        return DefaultPreprocessor(verbose=False), PlansManager(plan.nnunet_plans())


def _preprocess(
    preprocessor: tuple[DefaultPreprocessor, PlansManager],
    name: str,
    dataset: PreparedDataset,
    dataset_json: dict[str, Any],
) -> None:
    run, manager = preprocessor
    try:
        run.run_case_save(
            str(dataset.preprocessed_cases / name),
            [str(_image_file(dataset.raw, name))],
            str(_label_file(dataset.raw, name)),
            manager,
            manager.get_configuration(CONFIGURATION),
            dataset_json,
        )
    except RuntimeError as error:  # so blosc2 reports a file that it cannot write
        raise StorageError(f"cannot write page {name!r} below {dataset.folder}: {error} (is the disk full?)") from error


def _write_manifest(folder: Path, plan: Plan, pages: tuple[PageEntry, ...]) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "plan_hash": plan.hash,
        "pages": [asdict(page) for page in pages],
        "files": {path.relative_to(folder).as_posix(): _file_digest(path) for path in files},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


def _find(folder: Path, plan: Plan) -> PreparedDataset | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        whole = all(_file_digest(folder / name) == digest for name, digest in manifest["files"].items())
        pages = tuple(PageEntry(**page) for page in manifest["pages"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole or manifest["plan_hash"] != plan.hash:
        return None
    return PreparedDataset(
        folder,
        plan.hash,
        plan.plans["dataset_name"],
        plan.configuration["data_identifier"],
        pages,
        reused=True,
    )


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@memoize
def _code_digest() -> str:
    # A rendering that changes must not meet pages that an older version of the code rendered.
    root = Path(ecg_flare.__file__).parent
    own = [root / "nnunet" / f"{name}.py" for name in ("case", "dataset", "page_folder", "sources")]
    parts = [*(root / "ecg").rglob("*"), *(root / "page").rglob("*"), *own]
    files = sorted(path for path in parts if path.suffix in (".py", ".yaml"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


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
        raise StorageError(f"cannot write prepared pages below {folder}: {reason}") from error


def _progress(cases: Iterable[_Item], title: str, log: Callable[[str], None]) -> Iterator[_Item]:
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(cases, desc=title, unit="page")
        return
    last = time.monotonic()
    for done, case in enumerate(cases):
        if time.monotonic() - last > _LOG_INTERVAL_S:
            last = time.monotonic()
            log(f"{title}: {done} done")
        yield case
