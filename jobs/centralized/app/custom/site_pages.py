"""Where this hospital's pages come from: the one file of a job that a hospital owns.

Each job carries this file in `app/custom`. As it stands it renders pages from synthetic recordings, so that a job runs
with no data at hand. A hospital replaces the class body, or the whole class, by what reads its own pages; whatever it
writes must be a frozen dataclass whose fields are JSON, with the two methods of `ecg_flare.nnunet.case.CaseSource`.
A folder of scans needs no code at all: `ecg-flare jobs export --data pages:DIR` names `PageFolder` in the job instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ecg_flare.task.traces.page_case import PageCase
from ecg_flare.task.traces.pooled_pages import PooledPages
from ecg_flare.task.traces.sources import SyntheticPages


@dataclass(frozen=True)
class SitePages(SyntheticPages):
    """This site's pages: rendered, in the habits of the profile that the job names for the site."""


@dataclass(frozen=True)
class PooledSitePages(SitePages):
    """The pages of all sites in `pooled` at one place: what the job `centralized` trains on."""

    pooled: Sequence[str] = ()

    def describe(self, site: str) -> Any:
        return PooledPages(super(), self.pooled).describe(site)

    def cases(self, site: str) -> Iterator[PageCase]:
        return PooledPages(super(), self.pooled).cases(site)
