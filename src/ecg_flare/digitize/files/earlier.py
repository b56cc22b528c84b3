"""What stands already where a page's results go: those of an earlier reading, or files of somebody else.

A recording is an earlier reading's where NAME.json beside it is a report of this package that speaks of a recording.
Nothing else is overwritten or removed: beside a rendered page, NAME.hea is its true recording.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ecg_flare.errors import StorageError
from ecg_flare.storage import write_json

OVERLAY_ENDING: Final = ".overlay.png"
RECORDING_ENDINGS: Final = (".hea", ".dat", ".csv")
"""Of the files that hold a recording; the header goes first, as readers look for it."""

WITHHELD: Final = "withheld"
"""Status of a recording that was not written, as its confidence is too low."""

_UNFINISHED: Final = "unfinished"
"""Status on disk while a page's files are written or removed: they are an earlier reading's, and not all are there."""


@dataclass(frozen=True)
class EarlierReading:
    """What stands where a page's results go.

    Attributes:
        folder: of the results.
        name: of the page's results.
        report: of the earlier reading; None where there is none.
    """

    folder: Path
    name: str
    report: Mapping[str, Any] | None

    @property
    def report_file(self) -> Path:
        """NAME.json."""
        return self.folder / f"{self.name}.json"

    @property
    def has_recording(self) -> bool:
        """Whether the recording's files that stand there are the earlier reading's."""
        return self.report is not None and self.report["recording"].get("status") != WITHHELD

    def foreign_files(self) -> tuple[Path, ...]:
        """Files that a recording of this name would overwrite, and that no earlier reading wrote."""
        if self.has_recording:
            return ()
        return tuple(path for path in self._recording_files() if os.path.lexists(path))

    def check_free(self) -> None:
        """Raise StorageError where a recording would overwrite what no earlier reading wrote."""
        if foreign := self.foreign_files():
            raise _not_ours(foreign[0])

    def mark_unfinished(self, report: Mapping[str, Any]) -> None:
        """Say in NAME.json that the page's files are being written or removed; raises StorageError."""
        reason = "not all files of this page were written: read it again"
        recording = {**report["recording"], "status": _UNFINISHED, "reason": reason}
        write_json(self.report_file, {**report, "recording": recording})

    def remove_recording(self) -> None:
        """Remove the earlier reading's recording, if it has one; raises StorageError."""
        if self.has_recording:
            for path in self._recording_files():
                remove_file(path)

    def remove(self) -> None:
        """Remove all files of the earlier reading, if there is one; raises StorageError."""
        if self.report is None:
            return
        remove_file(self.folder / f"{self.name}{OVERLAY_ENDING}")
        if self.has_recording:
            self.mark_unfinished(self.report)
            self.remove_recording()
        remove_file(self.report_file)

    def _recording_files(self) -> tuple[Path, ...]:
        return tuple(self.folder / f"{self.name}{ending}" for ending in RECORDING_ENDINGS)


def earlier_reading(folder: Path, name: str) -> EarlierReading:
    """What stands where the results of a page go; raises StorageError where NAME.json is no report of a reading."""
    path = folder / f"{name}.json"
    if not os.path.lexists(path):
        return EarlierReading(folder, name, None)
    try:
        report = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        report = None
    if isinstance(report, dict) and "ecg_flare" in report and isinstance(report.get("recording"), dict):
        return EarlierReading(folder, name, report)
    raise _not_ours(path)


def remove_file(path: Path) -> None:
    """Remove a file of an earlier reading, if it is there; raises StorageError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}, of an earlier reading, cannot be removed: {error.strerror}") from error


def _not_ours(path: Path) -> StorageError:
    return StorageError(
        f"{path} is not of an earlier reading, and would be overwritten: write the results into another folder"
    )
