"""The pages of several sites at one place: what centralized training trains on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ecg_flare.errors import ConfigError
from ecg_flare.task.traces.page_case import PageCase, PageSource


@dataclass(frozen=True)
class PooledPages:
    """All pages that another source gives to `sites`, for whichever site asks.

    It is put together in Python, as in `custom/site_pages.py`: no config can name the source that it pools.

    Attributes:
        source: whose pages to pool.
        sites: of that source; patients of two sites stay two patients.

    Raises:
        ConfigError: where no site is named.
    """

    source: PageSource
    sites: Sequence[str]

    def __post_init__(self) -> None:
        if not self.sites:
            raise ConfigError("PooledPages needs the names of the sites whose pages it pools. Found none.")

    def describe(self, site: str) -> dict[str, Any]:
        """What the pages follow from."""
        return {"pooled": {one: self.source.describe(one) for one in self.sites}}

    def cases(self, site: str) -> Iterator[PageCase]:
        """The sites' pages, one site after the other, named after the site that they came from."""
        for one in self.sites:
            for case in self.source.cases(one):
                yield replace(case, name=f"{one}-{case.name}", patient_id=f"{one}/{case.patient_id}")
