"""One page as the network learns from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from ecg_flare.errors import SiteDataError

JSON = Any


@dataclass(frozen=True, eq=False)
class Case:
    """One page image with its label mask, both at `NORMALIZED_PX_PER_MM`.

    Attributes:
        name: unique within a site; becomes a file name, so letters, digits, '-', '_' and '.' only.
        patient_id: whose page it is; training and validation never share a patient.
        image: RGB.
        mask: class of each pixel, values of `page.raster.Label`.
    """

    name: str
    patient_id: str
    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise SiteDataError(
                f"page {self.name!r}: the image must be RGB uint8 (h, w, 3). "
                f"Found {self.image.dtype} {self.image.shape}."
            )
        if self.mask.dtype != np.uint8 or self.mask.shape != self.image.shape[:2]:
            raise SiteDataError(
                f"page {self.name!r}: the mask must be uint8 of the image's size {self.image.shape[:2]}. "
                f"Found {self.mask.dtype} {self.mask.shape}."
            )


@runtime_checkable
class PageSource(Protocol):
    """Where a site's pages come from.

    A source is a frozen dataclass whose fields are JSON values, so that a job's configuration can name it by class
    path and arguments, and the training process can build it again.
    """

    def describe(self, site: str) -> JSON:
        """What determines this site's pages, as JSON: the cache of prepared pages is keyed by it."""
        ...

    def cases(self, site: str) -> Iterator[Case]:
        """The site's pages in a fixed order; raises SiteDataError where they cannot be read."""
        ...


@dataclass(frozen=True)
class NoPages:
    """A page source with nothing in it: for a job whose executor reads no pages."""

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
