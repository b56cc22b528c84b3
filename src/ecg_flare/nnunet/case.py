"""One case as the network learns from it, and where a site's cases come from: what a task and nnU-Net agree on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ecg_flare.errors import SiteDataError

JSON = Any


class Case(Protocol):
    """One image, of one or several channels, with its labels.

    Attributes:
        name: unique within a site; becomes a file name, so letters, digits, '-', '_' and '.' only.
        patient_id: whose it is; training and validation never share a patient.
    """

    @property
    def name(self) -> str: ...

    @property
    def patient_id(self) -> str: ...

    @property
    def ignores(self) -> bool:
        """Whether somebody left part of it out: nothing is learnt there, and nothing counted."""
        ...

    def store(self, images: Path, labels: Path) -> None:
        """Write it as nnU-Net's raw data: `NAME_0000` and so on into `images`, `NAME` into `labels`.

        Raises OSError where they cannot be written.
        """
        ...


@runtime_checkable
class CaseSource(Protocol):
    """Where a site's cases come from.

    A source is a frozen dataclass whose fields are JSON values, so that a job's configuration can name it by class
    path and arguments, and the training process can build it again.
    """

    def describe(self, site: str) -> JSON:
        """What determines this site's cases, as JSON: the cache of prepared cases is keyed by it."""
        ...

    def cases(self, site: str) -> Iterator[Case]:
        """The site's cases in a fixed order; raises SiteDataError where they cannot be read."""
        ...


@dataclass(frozen=True)
class NoCases:
    """A source with nothing in it: for a job whose executor reads no cases."""

    def describe(self, site: str) -> JSON:
        """Nothing."""
        return {}

    def cases(self, site: str) -> Iterator[Case]:
        """None."""
        return iter(())


def json_digestible(value: JSON) -> str:
    """Canonical JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def site_entry(entries: Mapping[str, Any], site: str, what: str) -> Any:
    """The entry of `site`; raises SiteDataError naming the sites that have one."""
    if site not in entries:
        raise SiteDataError(f"no {what} is given for site {site!r}: found them for {', '.join(sorted(entries))}")
    return entries[site]
