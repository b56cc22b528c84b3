"""A hospital's own part before a job: its pages looked over, prepared, and named in its startup kit."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "inspection": ("Finding", "Inspection", "inspect_pages"),
    "kit": ("JobFolder", "Kit"),
    "own_pages": ("OwnPages", "SitesOwn", "read_own_pages", "write_own_pages"),
    "preparation": ("JobNeeds", "Preparation", "prepare_pages"),
}

if TYPE_CHECKING:
    from ecg_flare.site.inspection import Finding, Inspection, inspect_pages
    from ecg_flare.site.kit import JobFolder, Kit
    from ecg_flare.site.own_pages import OwnPages, SitesOwn, read_own_pages, write_own_pages
    from ecg_flare.site.preparation import JobNeeds, Preparation, prepare_pages
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "Finding",
    "Inspection",
    "JobFolder",
    "JobNeeds",
    "Kit",
    "OwnPages",
    "Preparation",
    "SitesOwn",
    "inspect_pages",
    "prepare_pages",
    "read_own_pages",
    "write_own_pages",
]
