"""Where a site's own cases lie: `local/ecg_flare_pages.json` in its workspace, which goes before what a job says.

    {"source": {"path": "ecg_flare.task.traces.page_folder.PageFolder",
                "args": {"folder": "/data/ecg", "px_per_mm": 7.874}},
     "cache": "/data/ecg_flare_cache"}

`path` is one of `nnunet.sources.source_names()`.

So one job serves hospitals whose data lie in different places, and none has to say where. `cache` is the folder of
prepared cases; left out it is below the workspace. `ecg-flare site prepare` writes the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.nnunet.case import JSON, CaseSource
from ecg_flare.nnunet.sources import build_source, to_spec
from ecg_flare.site.kit import read_object
from ecg_flare.storage import write_json
from ecg_flare.task.traces.page_case import PageCase

OWN_PAGES_FILE: Final = "ecg_flare_pages.json"
CACHE_FOLDER: Final = "ecg_flare_cache"
"""Where prepared cases are kept below a workspace that names no other folder."""


@dataclass(frozen=True)
class OwnPages:
    """A site's case source, and where it keeps what is prepared; `cache` is '' for below its workspace."""

    source: CaseSource
    cache: str = ""


@dataclass(frozen=True)
class SitesOwn:
    """The source of a job that leaves it to each site where its cases lie: a site that has not said so cannot train."""

    def describe(self, site: str) -> JSON:
        """Raises SiteDataError, always."""
        raise _unsaid(site)

    def cases(self, site: str) -> Iterator[PageCase]:
        """Raises SiteDataError, always."""
        raise _unsaid(site)


def read_own_pages(local: Path) -> OwnPages | None:
    """What the site says in its workspace's `local` folder, or None where it leaves it to the job.

    Raises ConfigError where the file cannot be read, or names what is no case source.
    """
    path = local / OWN_PAGES_FILE
    return read_cases_file(path, "Write it by `ecg-flare site prepare`.") if path.exists() else None


def read_cases_file(path: Path, advice: str) -> OwnPages:
    """What such a file says, wherever it lies.

    Raises ConfigError where the file cannot be read, with the advice, or names what is no case source.
    """
    entries = read_object(path, advice)
    if not {"source"} <= set(entries) <= {"source", "cache"}:
        raise ConfigError(f"{path} holds {_short(entries)}, expected 'source' and, if wanted, 'cache'")
    source, cache = entries["source"], entries.get("cache", "")
    if not isinstance(source, Mapping) or not isinstance(source.get("args", {}), Mapping):
        raise ConfigError(f"{path}: source is {_short(source)}, expected 'path' and 'args'")
    if not isinstance(cache, str):
        raise ConfigError(f"{path}: cache is {cache!r}, expected a folder")
    return OwnPages(build_source(source), cache)


def write_own_pages(local: Path, own: OwnPages) -> Path:
    """Say where the site's cases lie; gives the file."""
    path = local / OWN_PAGES_FILE
    entries: dict[str, Any] = {"source": to_spec(own.source)}
    if own.cache:
        entries["cache"] = own.cache
    write_json(path, entries)
    return path


def _unsaid(site: str) -> SiteDataError:
    return SiteDataError(
        f"the job leaves it to site {site!r} where its cases lie, and its local/{OWN_PAGES_FILE} does not say",
        "run `ecg-flare site prepare` at the site",
    )


def _short(value: object) -> str:
    return sorted(value).__repr__() if isinstance(value, dict) else repr(value)[:60]
