"""What is written of each page of a batch: the formats, and whose recordings they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ecg_flare.ecg.formats.registry import DEFAULT, check_study, checked_formats
from ecg_flare.ecg.formats.study import Study
from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import PageFile


@dataclass(frozen=True)
class Outputs:
    """The formats of a batch's recordings, and whose they are.

    `study` is of every page, unless `patients` has a study for each file of pages, by its name or its path. Patient
    data come from here alone, never from a picture.

    Raises ConfigError for an unknown format, one whose library is not installed, or both kinds of patient data at once.
    """

    formats: tuple[str, ...] = DEFAULT
    study: Study = field(default_factory=Study)
    patients: Mapping[str, Study] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "formats", checked_formats(self.formats))
        if self.patients is not None and self.study != Study():
            raise ConfigError(
                "patients are named by a table, and by options of the same call: leave one of the two out"
            )

    def study_of(self, page: PageFile) -> Study:
        """Return whose recording a page is; raises ConfigError for a file that the patients' table does not name."""
        if self.patients is None:
            return self.study
        for key in (str(page.path), page.path.name):
            if key in self.patients:
                return self.patients[key]
        raise ConfigError(f"the patients' table does not name {page.path.name}: whose page it is cannot be told")

    def check(self, pages: Iterable[PageFile], fs_hz: float) -> None:
        """Raise ConfigError where a page's recording could not be written: before the first page is read."""
        for page in pages:
            check_study(self.formats, self.study_of(page), fs_hz)
