"""Where pages come from, named in a job by class path and arguments.

Three kinds: pages rendered from synthetic recordings, pages rendered from PTB-XL records, and a folder of page images
(`page_folder.PageFolder`). A hospital adds its own kind as a frozen dataclass with `describe` and `cases` (see
`nnunet.case.CaseSource`) in the job's `custom` folder. This module imports no torch.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecg_flare.ecg.ptbxl import DATABASE_FILE, PtbxlEntry, at_sites, in_folds, load_record, read_database
from ecg_flare.ecg.synthetic import draw_patient, synthesize
from ecg_flare.errors import ConfigError, LayoutError, RecordError, SiteDataError
from ecg_flare.nnunet.case import JSON, site_entry
from ecg_flare.page.layout import is_yaml_file
from ecg_flare.page.site_profile import load_profile, profile_layout_files, profile_page
from ecg_flare.task.traces.page_case import PageCase
from ecg_flare.task.traces.printed import PrintedRecord


@dataclass(frozen=True)
class SyntheticPages:
    """Pages rendered from synthetic recordings, so that nothing has to be downloaded.

    Each site draws its own persons, rhythms and pages: the same site, seed and page give the same page everywhere.

    Attributes:
        profiles: site -> name of the site profile that its pages look like.
        pages_per_site: how many pages each site has.
        pages_per_patient: how many of them one person has.
        seed: of everything drawn.
    """

    profiles: Mapping[str, str]
    pages_per_site: int = 24
    pages_per_patient: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("pages_per_site", "pages_per_patient"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1. Found {getattr(self, name)}.")

    def describe(self, site: str) -> JSON:
        """The settings of this site; rendering is a function of them and of the code."""
        return {
            "source": "synthetic",
            "profile": _profile_description(site_entry(self.profiles, site, "profile")),
            "pages": self.pages_per_site,
            "pages_per_patient": self.pages_per_patient,
            "seed": self.seed,
        }

    def paths(self, site: str) -> Iterator[str]:
        """Files that the site's pages are made from: its profile and its layouts, where they are none of the package.

        Who may read them is asked path by path: a profile is read for its layouts only once the next is asked for.
        """
        return _profile_files(site_entry(self.profiles, site, "profile"))

    def cases(self, site: str) -> Iterator[PageCase]:
        """The site's pages, patient by patient."""
        return (printed.case for printed in self.printed(site))

    def printed(self, site: str) -> Iterator[PrintedRecord]:
        """The same pages at the resolution that they were scanned at, each with the recording that it prints."""
        profile = load_profile(site_entry(self.profiles, site, "profile"))
        for index in range(self.pages_per_site):
            person = index // self.pages_per_patient
            patient = draw_patient(_generator(self.seed, site, "patient", person))
            rng = _generator(self.seed, site, "page", index)
            recording = synthesize(rng, patient=patient)
            page = profile_page(recording, profile, rng)
            yield PrintedRecord(f"page-{index:04d}", f"patient-{person:04d}", recording, page)


@dataclass(frozen=True)
class PtbxlPages:
    """Pages rendered from records of PTB-XL (Wagner et al. 2020), one a record.

    Attributes:
        root: folder of the database, with ptbxl_database.csv.
        sites: site of the federation -> which records are its own: {"ptbxl_site": "0"} takes those of one recording
            site of the database (or of a list of them), {"shard": k, "of": n} those of each n-th patient by a hash of
            the patient's id; both together, those that meet both.
        profiles: site -> name of the site profile that its pages look like.
        folds: stratified folds to take records from (1 to 10); None takes all.
        limit: at most so many pages a site, of whole patients, first come; None takes all.
        seed: of the pages' looks.
    """

    root: str
    sites: Mapping[str, Mapping[str, Any]]
    profiles: Mapping[str, str]
    folds: Sequence[int] | None = None
    limit: int | None = None
    seed: int = 0

    def describe(self, site: str) -> JSON:
        """The settings of this site, and the database's table."""
        table = Path(self.root).expanduser() / DATABASE_FILE
        entries = self._entries(site)
        return {
            "source": "ptbxl",
            "table": hashlib.sha256(table.read_bytes()).hexdigest(),
            "records": [entry.ecg_id for entry in entries],
            "profile": _profile_description(site_entry(self.profiles, site, "profile")),
            "seed": self.seed,
        }

    def paths(self, site: str) -> Iterator[str]:
        """The database, and the site's profile and layouts, as `SyntheticPages.paths` gives them."""
        yield self.root
        yield from _profile_files(site_entry(self.profiles, site, "profile"))

    def cases(self, site: str) -> Iterator[PageCase]:
        """The site's pages, in the order of the table."""
        return (printed.case for printed in self.printed(site))

    def printed(self, site: str) -> Iterator[PrintedRecord]:
        """The same pages at the resolution that they were scanned at, each with the recording that it prints."""
        root = Path(self.root).expanduser()
        profile = load_profile(site_entry(self.profiles, site, "profile"))
        for entry in self._entries(site):
            try:
                recording = load_record(root, entry)
            except RecordError as error:
                raise SiteDataError(f"record {entry.ecg_id} of site {site!r} cannot be read: {error}") from error
            rng = _generator(self.seed, site, "page", entry.ecg_id)
            name, patient = f"ptbxl-{entry.ecg_id:05d}", f"patient-{entry.patient_id}"
            yield PrintedRecord(name, patient, recording, profile_page(recording, profile, rng))

    def _entries(self, site: str) -> list[PtbxlEntry]:
        rule = site_entry(self.sites, site, "rule for PTB-XL records")
        _check_rule(rule, site)
        try:
            table = read_database(Path(self.root).expanduser())
        except RecordError as error:
            raise SiteDataError(f"PTB-XL cannot be read for site {site!r}: {error}") from error
        entries = list(_shard(table if self.folds is None else in_folds(table, self.folds), rule))
        if not entries:
            raise SiteDataError(f"no PTB-XL record of {self.root} meets the rule of site {site!r}: {dict(rule)}")
        return _first_patients(entries, self.limit)


def _first_patients(entries: list[PtbxlEntry], limit: int | None) -> list[PtbxlEntry]:
    """The records of whole patients, first come, as long as there is room for all that a patient has."""
    if limit is None:
        return entries
    counts = Counter(entry.patient_id for entry in entries)
    taken: set[str] = set()
    room = limit
    for patient, count in counts.items():
        if count <= room:
            taken.add(patient)
            room -= count
    if not taken:
        raise ConfigError(f"limit={limit} is less than any patient has records: at least {min(counts.values())}")
    return [entry for entry in entries if entry.patient_id in taken]


def _check_rule(rule: Mapping[str, Any], site: str) -> None:
    unknown = set(rule) - {"ptbxl_site", "shard", "of"}
    if unknown or not rule:
        raise ConfigError(f"the rule of site {site!r} knows ptbxl_site, shard and of. Found {dict(rule)}.")
    if ("shard" in rule) != ("of" in rule) or ("of" in rule and not 0 <= rule["shard"] < rule["of"]):
        raise ConfigError(f"site {site!r} needs 'shard' from 0 to below 'of'. Found {dict(rule)}.")


def _shard(entries: Sequence[PtbxlEntry], rule: Mapping[str, Any]) -> Iterator[PtbxlEntry]:
    """The entries that meet a site's rule."""
    if "ptbxl_site" in rule:
        wanted = rule["ptbxl_site"]
        entries = at_sites(entries, [wanted] if isinstance(wanted, str) else wanted)
    for entry in entries:
        if "of" not in rule or _stable_number(entry.patient_id) % rule["of"] == rule["shard"]:
            yield entry


def _profile_files(name: str) -> Iterator[str]:
    if not is_yaml_file(name):
        return
    yield name
    try:
        yield from profile_layout_files(name)
    except LayoutError:  # no page can come of it, and who loads it says why
        return


def _profile_description(name: str) -> str:
    # A profile of the package changes with the code, one of a site's own with its file and those of its layouts.
    if not is_yaml_file(name):
        return name
    load_profile(name)
    files = (name, *profile_layout_files(name))
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


def _generator(seed: int, site: str, what: str, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, _stable_number(site), _stable_number(what), index])


def _stable_number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
