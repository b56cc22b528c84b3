"""What became of the pages of a run, for a person and for a machine, however many they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ecg_flare.digitize.archive.manifest import FAILED, WITHHELD, Counts, Entry, Manifest, open_manifest
from ecg_flare.digitize.archive.table import CSV_NAME
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.files.summary import ALL_READ, SOME_FAILED, PageOutcome
from ecg_flare.page.page_list import LeftOut, left_out_lines

_MOST_LINES: Final = 20


@dataclass(frozen=True)
class ArchiveSummary:
    """What became of the pages of a run.

    Attributes:
        folder: of the results.
        counts: of pages.
        standing: how many of them stood already.
        lines: what to tell of pages that were not read or withheld, at most so many of each.
        left_out: files that were not taken for pages.
        html_path: the report, or its first part.
    """

    folder: Path
    counts: Counts
    standing: int
    lines: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    html_path: Path | None = None

    @classmethod
    def of(cls, manifest: Manifest, folder: Path, standing: int, left_out: tuple[LeftOut, ...]) -> ArchiveSummary:
        """The summary of the run that holds the manifest."""
        counts = manifest.counts(CONFIDENT)
        failed = _lines(manifest, FAILED, "not read", counts.failed)
        withheld = _lines(manifest, WITHHELD, "withheld", counts.withheld)
        return cls(folder, counts, standing, (*failed, *withheld), left_out)

    @property
    def exit_code(self) -> int:
        """0 when a recording was written of every page, 3 when some were not read, withheld, or a picture left out."""
        left_out = any(left.is_picture for left in self.left_out)
        return SOME_FAILED if self.counts.failed or self.counts.withheld or left_out else ALL_READ

    def to_text(self) -> str:
        """A few lines for a person."""
        counts = self.counts
        read = counts.pages - counts.failed - counts.withheld
        first = (
            f"{read} of {counts.pages} pages read, {counts.unsure} of them with less than {CONFIDENT:.0%} confidence"
        )
        first += f"; {counts.withheld} withheld" if counts.withheld else ""
        first += f"; {self.standing} stood already" if self.standing else ""
        lines = [f"{first}.", *self.lines, *(f"  left out: {line}" for line in left_out_lines(self.left_out))]
        lines.append(f"Table: {self.folder / CSV_NAME}")
        if self.html_path is not None:
            lines.append(f"Report: {self.html_path}")
        return "\n".join(lines)

    def json_pieces(self) -> Iterator[str]:
        """The summary as JSON with each page's whole report, piece by piece: there may be a million of them.

        Raises StorageError where the manifest or a report is not there any more.
        """
        counts = self.counts
        head = {
            "pages": counts.pages,
            "failed": counts.failed,
            "withheld": counts.withheld,
            "unsure": counts.unsure,
            "standing": self.standing,
            "exit_code": self.exit_code,
            "html": None if self.html_path is None else str(self.html_path),
            "left_out": [{"source": str(left.path), "why": left.why} for left in self.left_out],
        }
        yield json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}") + ',\n  "results": ['
        with open_manifest(self.folder) as manifest:
            between = "\n"
            for entry in manifest.listed(manifest.call - 1):
                yield between + json.dumps(_told(entry, self.folder), ensure_ascii=False)
                between = ",\n"
        yield "\n  ]\n}\n"


def _told(entry: Entry, folder: Path) -> dict[str, Any]:
    report = None if entry.status == FAILED else json.loads((folder / f"{entry.name}.json").read_bytes())
    error = entry.error if entry.status == FAILED else None
    outcome = PageOutcome(entry.source, entry.page, entry.name, entry.seconds, report, error, entry.stages)
    return outcome.to_json()


def _lines(manifest: Manifest, status: str, words: str, count: int) -> Iterator[str]:
    some = islice((entry for entry in manifest.listed(manifest.call) if entry.status == status), _MOST_LINES)
    for entry in some:
        yield f"  {words}: {entry.source} (page {entry.page}): {entry.error}"
    if count > _MOST_LINES:
        yield f"  {words}: {count - _MOST_LINES} more, which {CSV_NAME} names"
