"""The hippocampus cases as four sites have them, for training and for measuring.

Each fifth case of a site, by a hash of its name, is held out. Two of site-1, site-2 and site-3 each are public, which
no site trains on.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import click

from benchmarks.learning.bench import POOL
from benchmarks.real_data import data_root
from ecg_flare.task.datasets.case import FileCase
from ecg_flare.task.datasets.folder import NnunetFolder

SITES: Final = ("site-1", "site-2", "site-3", "site-4")
Part = Literal["train", "test", "public"]
_PUBLIC_SITES: Final = SITES[:3]


@dataclass(frozen=True)
class TableSites:
    """Cases of one folder, dealt to sites by its `sites.csv`; `pool` has them all.

    Attributes:
        folder: in nnU-Net's raw format.
        part: which cases.
    """

    folder: str
    part: Part
    cases_are_patients: bool = field(default=True, init=False)

    def describe(self, site: str) -> Any:
        """Which cases, and what the folder holds."""
        return {"cases": self._names(site), "folder": NnunetFolder(self.folder).describe(site)}

    def cases(self, site: str) -> Iterator[FileCase]:
        """The site's cases, read and checked."""
        wanted = set(self._names(site))
        for case in NnunetFolder(self.folder, cases_are_patients=True).cases(site):
            if case.name in wanted:
                yield case

    def _names(self, site: str) -> list[str]:
        if site == POOL:
            return sorted(name for one in SITES for name in self._names(one))
        own = sorted(cases_by_site(Path(self.folder))[site], key=_hash)
        held_out = own[::5]
        public = own[1:8:5] if site in _PUBLIC_SITES else []
        chosen = {"test": held_out, "public": public}.get(self.part)
        return sorted(chosen if chosen is not None else set(own) - set(held_out) - set(public))


def hippocampus() -> Path:
    """The folder of the cases; raises click.ClickException where they are not there."""
    folder = data_root() / "hippocampus"
    if not folder.is_dir():
        raise click.ClickException(f"the cases are not at {folder}: set ECG_FLARE_DATA to the folder above")
    return folder


def cases_by_site(folder: Path) -> dict[str, list[str]]:
    """Site -> its cases, as `sites.csv` deals them."""
    found: dict[str, list[str]] = {site: [] for site in SITES}
    with (folder / "sites.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            found[line["site"]].append(line["case"])
    return found


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
