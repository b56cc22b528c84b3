"""What stands already where a page's results go: those of an earlier reading, or files of somebody else.

A recording is an earlier reading's where NAME.json beside it is a report of this package that speaks of a recording.
Nothing else is overwritten or removed: beside a rendered page, NAME.hea is its true recording.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ecg_flare.ecg.formats.registry import DEFAULT, FORMATS, endings
from ecg_flare.errors import StorageError
from ecg_flare.storage import write_json

OVERLAY_ENDING: Final = ".overlay.png"
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
    def formats(self) -> tuple[str, ...]:
        """The formats of the earlier reading's recording, as far as they are known; none where it has none."""
        if self.report is None or not self.has_recording:
            return ()
        named = self.report["recording"].get("formats", DEFAULT)
        return tuple(name for name in FORMATS if isinstance(named, list | tuple) and name in named)

    @property
    def has_recording(self) -> bool:
        """Whether the recording's files that stand there are the earlier reading's."""
        return self.report is not None and self.report["recording"].get("status") != WITHHELD

    def foreign_files(self, formats: Sequence[str]) -> tuple[Path, ...]:
        """Files that a recording of this name in these formats would overwrite, and that no earlier reading wrote."""
        own = self._files(self.formats)
        return tuple(path for path in self._files(formats) if path not in own and os.path.lexists(path))

    def check_free(self, formats: Sequence[str]) -> None:
        """Raise StorageError where a recording in these formats would overwrite what no earlier reading wrote."""
        if foreign := self.foreign_files(formats):
            raise _not_ours(foreign[0])

    def mark_unfinished(self, report: Mapping[str, Any]) -> None:
        """Say in NAME.json that the page's files are being written or removed; raises StorageError."""
        reason = "not all files of this page were written: read it again"
        formats = [name for name in FORMATS if name in self.formats or name in report["recording"]["formats"]]
        recording = {**report["recording"], "status": _UNFINISHED, "reason": reason, "formats": formats}
        write_json(self.report_file, {**report, "recording": recording})

    def remove_recording(self, but: Sequence[str] = ()) -> None:
        """Remove the earlier reading's recording, if it has one, `but` for these formats; raises StorageError."""
        kept = self._files(but)
        for path in self._files(self.formats):
            if path not in kept:
                remove_file(path)

    def remove(self) -> None:
        """Remove all files of the earlier reading, if there is one; raises StorageError."""
        if self.report is None:
            return
        remove_file(self.folder / f"{self.name}{OVERLAY_ENDING}")
        if self.has_recording:
            self.mark_unfinished({**self.report, "recording": {"formats": [], **self.report["recording"]}})
            self.remove_recording()
        remove_file(self.report_file)

    def _files(self, formats: Sequence[str]) -> tuple[Path, ...]:
        return tuple(self.folder / f"{self.name}{ending}" for ending in endings(formats))


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
