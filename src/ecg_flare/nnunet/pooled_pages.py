"""The pages of several sites at one place: what centralized training trains on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.case import Case, PageSource
from ecg_flare.nnunet.sources import build_source


@dataclass(frozen=True)
class PooledPages:
    """All pages that another source gives to `sites`, for whichever site asks.

    Attributes:
        source_path, source_args: class path and arguments of that source.
        sites: whose pages to pool; patients of two sites stay two patients.

    Raises:
        ConfigError: where no site is named, or the source cannot be built.
    """

    source_path: str
    sites: tuple[str, ...]
    source_args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sites", tuple(self.sites))
        if not self.sites:
            raise ConfigError("PooledPages needs the names of the sites whose pages it pools. Found none.")

    def describe(self, site: str) -> dict[str, Any]:
        """What the pages follow from."""
        source = self._source()
        return {"pooled": {one: source.describe(one) for one in self.sites}}

    def cases(self, site: str) -> Iterator[Case]:
        """The sites' pages, one site after the other, named after the site that they came from."""
        source = self._source()
        for one in self.sites:
            for case in source.cases(one):
                yield replace(case, name=f"{one}-{case.name}", patient_id=f"{one}/{case.patient_id}")

    def _source(self) -> PageSource:
        return build_source({"path": self.source_path, "args": dict(self.source_args)})
