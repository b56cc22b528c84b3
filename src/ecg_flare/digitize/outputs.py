"""What is written of each page of a batch: the formats, and whose recordings they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ecg_flare.ecg.formats.registry import DEFAULT, check_study, checked_formats
from ecg_flare.ecg.formats.study import Study
from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import PageFile

_DIGITS: Final = 16


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

    @property
    def identity(self) -> str:
        """A text that changes with the formats and the patients, and names none of these."""
        told = repr((self.study, None if self.patients is None else sorted(self.patients.items())))
        return f"{','.join(self.formats)} {hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]}"

    def study_of(self, page: PageFile) -> Study:
        """Return whose recording a page is; raises ConfigError for a file that the patients' table does not name."""
        return self._study_of(page.path)

    def _study_of(self, path: Path) -> Study:
        if self.patients is None:
            return self.study
        for key in (str(path), path.name):
            if key in self.patients:
                return self.patients[key]
        raise ConfigError(f"the patients' table does not name {path.name}: whose page it is cannot be told")

    def check(self, files: Iterable[Path], fs_hz: float) -> None:
        """Raise ConfigError where a recording of these files could not be written: before the first page is read."""
        for path in files:
            check_study(self.formats, self._study_of(path), fs_hz)
