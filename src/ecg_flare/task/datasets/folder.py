"""A site's data set in nnU-Net's raw format: a folder with imagesTr, labelsTr and dataset.json.

A case is NAME_0000.ENDING, a file for each channel, in imagesTr, and NAME.ENDING in labelsTr. Whose it is stands in
`patients.csv` (columns `case`, `patient_id`), or in the case's name (`patient_pattern`), or each is another patient's
(`cases_are_patients`); where nothing says it, a case is taken for a patient, and jobs that hide patients refuse it.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ecg_flare.documents import parse_object, short
from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.nnunet.case import JSON, CaseSource, site_entry
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.plan_check import check_description
from ecg_flare.task.datasets.case import FileCase, check_case

PATIENTS_FILE: Final = "patients.csv"
IMAGES: Final = "imagesTr"
LABELS: Final = "labelsTr"
DATASET_FILE: Final = "dataset.json"
_READER_OF: Final = {".png": "NaturalImage2DIO", ".bmp": "NaturalImage2DIO", ".tif": "Tiff3DIO", ".tiff": "Tiff3DIO"}
_CHANNEL: Final = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class Description:
    """A data set's dataset.json, as far as cases are held to it."""

    plan: Plan
    reader: str

    @property
    def ending(self) -> str:
        """Of all files."""
        return str(self.plan.dataset_json["file_ending"])

    @property
    def values(self) -> frozenset[int]:
        """All values that labels may have, what is ignored too."""
        known = {value for values in self.plan.labels.values() for value in values}
        return frozenset(known if self.plan.ignored is None else {*known, self.plan.ignored})


@dataclass(frozen=True)
class NnunetFolder:
    """Data sets in nnU-Net's raw format in folders of this machine.

    Attributes:
        folder: one for all sites, where '{site}' stands for the site's name; or '' if `folders` says it.
        folders: site -> folder.
        patient_pattern: regular expression whose first group, found in a case's name, is the patient's id; a
            `patients.csv` in the folder goes before it.
        cases_are_patients: each case is another patient's.

    Raises:
        ConfigError: for a pattern that cannot be, or no folder.
    """

    folder: str = ""
    folders: Mapping[str, str] | None = None
    patient_pattern: str = ""
    cases_are_patients: bool = False

    def __post_init__(self) -> None:
        by_site = {} if self.folders is None else self.folders
        paths = (self.folder, *by_site.values()) if isinstance(by_site, Mapping) else (None,)
        if not all(isinstance(path, str) and path.isprintable() for path in paths):
            found = f"{short(self.folder)} and {short(self.folders)}"
            raise ConfigError(f"a data set needs the path of a folder, or one by site. Found {found}.")
        try:
            groups = re.compile(self.patient_pattern).groups
        except (re.error, TypeError) as error:
            raise ConfigError(f"patient_pattern {self.patient_pattern!r} is no regular expression: {error}") from error
        if self.patient_pattern and groups < 1:
            raise ConfigError(
                f"patient_pattern {self.patient_pattern!r} has no group: put parentheses around the patient's id"
            )

    def describe(self, site: str) -> JSON:
        """The settings, and the content of every file that makes a case."""
        root = self.root(site)
        files = [root / DATASET_FILE, root / PATIENTS_FILE]
        files += sorted(path for name in (IMAGES, LABELS) if (root / name).is_dir() for path in (root / name).iterdir())
        return {
            "source": "nnU-Net data set",
            "patient_pattern": self.patient_pattern,
            "files": {path.relative_to(root).as_posix(): _digest(path) for path in files if path.is_file()},
        }

    def paths(self, site: str) -> tuple[str, ...]:
        """The folder that the site's cases are read from."""
        return (self._folder(site),)

    def cases(self, site: str) -> Iterator[FileCase]:
        """The cases in the order of their names, each read and checked; raises SiteDataError as `check_case`."""
        told, table = self.description(site), self.patient_table(site)
        for name in self.names(site):
            case = self.case(site, name, told, table)
            check_case(case, told.reader, len(told.plan.channels), told.values)
            yield case

    def description(self, site: str) -> Description:
        """What dataset.json says; raises SiteDataError where it is missing or makes no sense."""
        path = self.root(site) / DATASET_FILE
        found = parse_object(_read(path), str(path), SiteDataError)
        if not found.get("channel_names") or not found.get("labels"):
            raise SiteDataError(f"{path} lacks channel_names or labels, as nnU-Net 2 has them", "convert the data set")
        check_description(found, str(path), SiteDataError)
        return Description(Plan(path.parent.name, {}, found, "", ""), reader_of(found))

    def names(self, site: str) -> tuple[str, ...]:
        """Names of the cases that have an image or labels; raises SiteDataError where there are none."""
        root, ending = self.root(site), self.description(site).ending
        stems = {path.name.removesuffix(ending) for path in _files(root / LABELS, ending)}
        for path in _files(root / IMAGES, ending):
            match = _CHANNEL.fullmatch(path.name.removesuffix(ending))
            if match is None:
                raise SiteDataError(f"{path} does not end in _0000{ending} or another channel's number", "rename it")
            stems.add(match.group(1))
        if not stems:
            raise SiteDataError(f"{root} has no case: no file ends in {ending} in {IMAGES} or {LABELS}")
        return tuple(sorted(stems))

    def case(self, site: str, name: str, told: Description, table: Mapping[str, str] | None) -> FileCase:
        """The files of a case; raises SiteDataError for one without labels, or that lacks a channel."""
        root, ending = self.root(site), told.ending
        images = sorted(path for path in (root / IMAGES).glob(f"{name}_[0-9][0-9][0-9][0-9]{ending}"))
        labels = root / LABELS / f"{name}{ending}"
        if not labels.is_file():
            raise SiteDataError(f"case {name!r} has no labels", f"put {name}{ending} into {labels.parent}")
        wanted = 1 if told.reader == "NaturalImage2DIO" else len(told.plan.channels)
        expected = [root / IMAGES / f"{name}_{channel:04d}{ending}" for channel in range(wanted)]
        if missing := [path for path in expected if path not in images]:
            raise SiteDataError(f"case {name!r} lacks the channel {missing[0].name}", f"put it into {root / IMAGES}")
        if len(images) > wanted:
            raise SiteDataError(
                f"case {name!r} has {len(images)} channels, dataset.json names {wanted}", "remove or name the others"
            )
        patient = self.patient(name, table) or name
        return FileCase(name, patient, tuple(images), labels, ending, told.plan.ignored)

    def patient_table(self, site: str) -> dict[str, str] | None:
        """Case -> patient's id, from the folder's `patients.csv`; None where it has none."""
        return _read_patients(self.root(site) / PATIENTS_FILE)

    def patient(self, name: str, table: Mapping[str, str] | None) -> str:
        """Whose case it is, by the table or by its name; '' where neither is asked.

        Raises SiteDataError where the table or the pattern does not say it.
        """
        if table is not None:
            if name not in table:
                raise SiteDataError(f"{PATIENTS_FILE} has no row for case {name!r}", "add one with its patient's id")
            return table[name]
        if not self.patient_pattern:
            return ""
        match = re.search(self.patient_pattern, name)
        if match is None or not match.group(1):
            raise SiteDataError(
                f"case {name!r} does not match patient_pattern {self.patient_pattern!r}",
                f"give a {PATIENTS_FILE} with the columns case, patient_id",
            )
        return match.group(1)

    def root(self, site: str) -> Path:
        """The site's folder; raises SiteDataError where there is none."""
        root = Path(self._folder(site)).expanduser()
        if not root.is_dir():
            raise SiteDataError(f"the data set of site {site!r} does not exist: {root}")
        return root

    def _folder(self, site: str) -> str:
        if self.folders:
            return str(site_entry(self.folders, site, "data set"))
        if self.folder:
            return self.folder.replace("{site}", site)
        raise SiteDataError("a data set needs 'folder' or 'folders'. Found neither.")


def reader_of(description: Mapping[str, Any]) -> str:
    """Name of nnU-Net's class that reads the files of a data set, by its dataset.json."""
    named = description.get("overwrite_image_reader_writer")
    if named not in (None, "None"):
        return str(named)
    return _READER_OF.get(str(description["file_ending"]), "SimpleITKIO")


def check_source(plan: Plan, source: CaseSource, site: str) -> None:
    """Refuse a folder whose dataset.json tells of other channels, labels or files than the plan.

    Raises SiteDataError naming what differs.
    """
    if not isinstance(source, NnunetFolder):
        return
    own, agreed = source.description(site).plan.dataset_json, plan.dataset_json
    for key in ("channel_names", "labels", "file_ending", "regions_class_order"):
        if own.get(key) != agreed.get(key):
            raise SiteDataError(
                f"{source.root(site) / DATASET_FILE} has {key} {short(own.get(key))}, the plan {plan.name!r} has "
                f"{short(agreed.get(key))}",
                "bring the data set into the form that the sites agreed on, or ask for the right plan",
            )


def _files(folder: Path, ending: str) -> Iterator[Path]:
    if not folder.is_dir():
        raise SiteDataError(f"{folder} does not exist", f"a data set has {IMAGES}, {LABELS} and {DATASET_FILE}")
    yield from sorted(path for path in folder.iterdir() if path.name.endswith(ending) and not path.name.startswith("."))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SiteDataError(f"cannot read {path}: {error.strerror}", "let this account read the folder") from error


def _digest(path: Path) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


def _read_patients(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    try:
        rows: list[dict[str, Any]] = list(csv.DictReader(_read(path).decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SiteDataError(f"{path} is not a CSV table in UTF-8: {error}") from error
    if not rows or not {"case", "patient_id"} <= set(rows[0]):
        raise SiteDataError(f"{path} needs the columns case, patient_id and at least one row")
    table: dict[str, str] = {}
    for line, row in enumerate(rows, 2):
        case, patient = ((row[column] or "").strip() for column in ("case", "patient_id"))
        if not case or not patient:
            raise SiteDataError(f"line {line} of {path} lacks its case or its patient_id: {case!r}, {patient!r}")
        if table.setdefault(case, patient) != patient:
            raise SiteDataError(f"{path} gives case {case!r} to two patients: {table[case]!r} and {patient!r}")
    return table
