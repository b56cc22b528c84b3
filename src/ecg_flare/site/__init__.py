"""A hospital's own part before a job: its cases looked over, prepared, and named in its startup kit."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "kit": ("JobFolder", "Kit"),
    "own_pages": ("OwnPages", "SitesOwn", "read_own_pages", "write_own_pages"),
    "preparation": ("JobNeeds", "Preparation", "prepare_cases"),
}

if TYPE_CHECKING:
    from ecg_flare.site.kit import JobFolder, Kit
    from ecg_flare.site.own_pages import OwnPages, SitesOwn, read_own_pages, write_own_pages
    from ecg_flare.site.preparation import JobNeeds, Preparation, prepare_cases
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "JobFolder",
    "JobNeeds",
    "Kit",
    "OwnPages",
    "Preparation",
    "SitesOwn",
    "prepare_cases",
    "read_own_pages",
    "write_own_pages",
]
