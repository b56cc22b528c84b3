"""Whose pages train and whose pages test: PTB-XL cut into the four sites of a federation.

A site of the federation holds records of one recording site of the database (its column `site`; the two smallest are
taken together, the largest is cut in two by patients) and prints them in one site profile. The database's stratified
folds hold whole patients each: folds 1 to 7 train, fold 8 tunes, fold 9 tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from benchmarks.real_data import ptbxl_root
from ecg_flare.nnunet.case import JSON, CaseSource
from ecg_flare.nnunet.content import content_digest
from ecg_flare.nnunet.dataset import PreparedDataset
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.page_case import PageCase
from ecg_flare.task.traces.sources import PtbxlPages, SyntheticPages

PROFILES: Final = MappingProxyType(
    {"site-1": "district", "site-2": "university", "site-3": "archive", "site-4": "clinic_photo"}
)
SITES: Final = tuple(PROFILES)
RULES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "site-1": {"ptbxl_site": "0", "shard": 0, "of": 2},
        "site-2": {"ptbxl_site": "0", "shard": 1, "of": 2},
        "site-3": {"ptbxl_site": "1"},
        "site-4": {"ptbxl_site": ["2", "3"]},
    }
)
FOLDS: Final = MappingProxyType({"train": (1, 2, 3, 4, 5, 6, 7), "val": (8,), "test": (9,)})
_SYNTHETIC_SEEDS: Final = MappingProxyType({"train": 0, "val": 1, "test": 2})

Part = Literal["train", "val", "test"]


def ptbxl_pages(root: Path, part: Part, pages_per_site: int) -> PtbxlPages:
    """Pages of one part of the database's patients, at most so many a site."""
    return PtbxlPages(
        str(root),
        {site: dict(rule) for site, rule in RULES.items()},
        dict(PROFILES),
        folds=FOLDS[part],
        limit=pages_per_site,
    )


def synthetic_pages(part: Part, pages_per_site: int) -> SyntheticPages:
    """Pages of synthetic recordings in the same profiles, other persons in each part: for runs without the database."""
    return SyntheticPages(dict(PROFILES), pages_per_site, seed=_SYNTHETIC_SEEDS[part])


def pages_of(part: Part, pages_per_site: int, synthetic: bool) -> CaseSource:
    """Pages of PTB-XL, or of synthetic recordings; raises a usage error where the database is not there."""
    if synthetic:
        return synthetic_pages(part, pages_per_site)
    return ptbxl_pages(ptbxl_root(otherwise="--synthetic"), part, pages_per_site)


@dataclass(frozen=True)
class Pooled:
    """Several sites' training pages as if they were one site's: what centralized training sees."""

    datasets: Mapping[str, PreparedDataset]

    def describe(self, site: str) -> JSON:
        """A digest of each site's pages."""
        return {one: content_digest(dataset) for one, dataset in self.datasets.items()}

    def cases(self, site: str) -> Iterator[PageCase]:
        """The training pages of each site in turn, named by their site."""
        for one, dataset in self.datasets.items():
            for case in prepared_pages(dataset, "train"):
                yield PageCase(f"{one}-{case.name}", f"{one}-{case.patient_id}", case.image, case.mask)
