"""What became of a batch of pages, for a person and for a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.ecg.intervals.intervals import QUANTITIES, with_unit
from ecg_flare.page.page_list import LeftOut, left_out_lines

ALL_READ, SOME_FAILED, USAGE = 0, 3, 2
"""Exit codes; the command gives USAGE where run_batch raises ConfigError, LayoutError or StorageError."""


@dataclass(frozen=True)
class PageOutcome:
    """What became of one page: `report` as in NAME.json, or None and the `error`.

    `stages` are the seconds of the reading by stage. `settled` says of an error that the file as it is cannot be read,
    so that trying again would be of no use.
    """

    source: str
    page: int
    name: str
    seconds: float
    report: dict[str, Any] | None = None
    error: str | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    settled: bool = False

    @property
    def confidence(self) -> float | None:
        """Confidence of the reading; None where there is none."""
        return None if self.report is None else float(self.report["confidence"])

    @property
    def intervals(self) -> str | None:
        """The reading's intervals in one line; None where there is no recording."""
        found = None if self.report is None else self.report.get("intervals")
        if found is None or self.withheld is not None:
            return None
        shown = (
            f"{name} {'not measured' if found[field] is None else with_unit(found[field], unit)}"
            for field, (name, unit) in QUANTITIES.items()
        )
        return ", ".join(shown) + (f"; doubtful: {'; '.join(found['doubts'])}" if found["doubts"] else "")

    @property
    def withheld(self) -> str | None:
        """Why the page's recording was not written; None where it was, or where there is no reading."""
        reason = None if self.report is None else self.report.get("recording", {}).get("reason")
        return None if reason is None else str(reason)

    def to_json(self) -> dict[str, Any]:
        """The page as JSON holds it, with its whole report."""
        return {
            "source": self.source,
            "page": self.page,
            "name": self.name,
            "seconds": round(self.seconds, 3),
            "stages": {stage: round(seconds, 4) for stage, seconds in self.stages.items()},
            "error": self.error,
            "withheld": self.withheld,
            "report": self.report,
        }


@dataclass(frozen=True)
class BatchSummary:
    """What became of a batch, in the order of its pages."""

    pages: tuple[PageOutcome, ...]
    html_path: Path | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def n_failed(self) -> int:
        """Pages that were not read."""
        return sum(page.error is not None for page in self.pages)

    @property
    def n_withheld(self) -> int:
        """Pages whose recording was not written, as the confidence is below WRITTEN."""
        return sum(page.withheld is not None for page in self.pages)

    @property
    def n_unsure(self) -> int:
        """Pages whose recording was written with less confidence than CONFIDENT."""
        return sum(
            page.confidence is not None and page.confidence < CONFIDENT and page.withheld is None for page in self.pages
        )

    @property
    def exit_code(self) -> int:
        """0 when a recording was written of every page, 3 when some were not read, withheld, or a picture left out."""
        left_out = any(left.is_picture for left in self.left_out)
        return SOME_FAILED if self.n_failed or self.n_withheld or left_out else ALL_READ

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON holds it, with each page's whole report."""
        return {
            "pages": len(self.pages),
            "failed": self.n_failed,
            "withheld": self.n_withheld,
            "unsure": self.n_unsure,
            "exit_code": self.exit_code,
            "html": None if self.html_path is None else str(self.html_path),
            "left_out": [{"source": str(left.path), "why": left.why} for left in self.left_out],
            "results": [page.to_json() for page in self.pages],
        }

    def to_text(self) -> str:
        """A few lines for a person."""
        read = len(self.pages) - self.n_failed - self.n_withheld
        unsure = f"{self.n_unsure} of them with less than {CONFIDENT:.0%} confidence"
        withheld = f"; {self.n_withheld} withheld" if self.n_withheld else ""
        lines = [f"{read} of {len(self.pages)} pages read, {unsure}{withheld}."]
        lines += [f"  not read: {page.source} (page {page.page}): {page.error}" for page in self.pages if page.error]
        lines += [f"  left out: {line}" for line in left_out_lines(self.left_out)]
        lines += [
            f"  withheld: {page.source} (page {page.page}): {page.withheld}" for page in self.pages if page.withheld
        ]
        lines += [f"  {page.name}: {page.intervals}" for page in self.pages if page.intervals is not None]
        if self.html_path is not None:
            lines.append(f"Report: {self.html_path}")
        return "\n".join(lines)
