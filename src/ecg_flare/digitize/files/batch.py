"""Many pages, one after another: a page that fails is reported, and the next one is read."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from ecg_flare.digitize.files.html import Entry, build_html, failed_entry, read_entry
from ecg_flare.digitize.files.output import write_result
from ecg_flare.digitize.files.overlay import draw_overlay
from ecg_flare.digitize.files.page_list import PageFile
from ecg_flare.digitize.files.reader import list_pages, read_page
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.segmenters import AUTO, Segmenter
from ecg_flare.digitize.pipeline import check_options, digitize
from ecg_flare.digitize.result import CONFIDENT, Digitization
from ecg_flare.errors import EcgFlareError, StorageError
from ecg_flare.storage import write_atomically

ALL_READ, SOME_FAILED, USAGE = 0, 3, 2
"""Exit codes; the command gives USAGE where run_batch raises ConfigError, LayoutError or StorageError."""

REPORT_NAME: Final = "report.html"

_LOG = logging.getLogger(__name__)
# Beside the errors raised on purpose: what arrays and their libraries raise at a page nobody thought of.
_PAGE_FAILURES: Final = (EcgFlareError, ArithmeticError, LookupError, MemoryError, ValueError, cv2.error)


@dataclass(frozen=True)
class BatchOptions:
    """How pages are read; the fields are those of `digitize`."""

    layout: str = "auto"
    speed: float | Literal["auto"] = "auto"
    gain: float | Literal["auto"] = "auto"
    px_per_mm: float | tuple[float, float] | None = None
    fs_hz: float = 500.0
    html: bool = False


@dataclass(frozen=True)
class PageOutcome:
    """What became of one page: `report` as in NAME.json, or None and the `error`."""

    source: str
    page: int
    name: str
    seconds: float
    report: dict[str, Any] | None = None
    error: str | None = None

    @property
    def confidence(self) -> float | None:
        """Confidence of the reading; None where there is none."""
        return None if self.report is None else float(self.report["confidence"])


@dataclass(frozen=True)
class BatchSummary:
    """What became of a batch, in the order of its pages."""

    pages: tuple[PageOutcome, ...]
    html_path: Path | None = field(default=None)

    @property
    def n_failed(self) -> int:
        """Pages that were not read."""
        return sum(page.error is not None for page in self.pages)

    @property
    def n_unsure(self) -> int:
        """Pages that were read with less confidence than CONFIDENT."""
        return sum(page.confidence is not None and page.confidence < CONFIDENT for page in self.pages)

    @property
    def exit_code(self) -> int:
        """0 when every page was read, 3 when some were not."""
        return SOME_FAILED if self.n_failed else ALL_READ

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON holds it, with each page's whole report."""
        return {
            "pages": len(self.pages),
            "failed": self.n_failed,
            "unsure": self.n_unsure,
            "exit_code": self.exit_code,
            "html": None if self.html_path is None else str(self.html_path),
            "results": [
                {
                    "source": page.source,
                    "page": page.page,
                    "name": page.name,
                    "seconds": round(page.seconds, 3),
                    "error": page.error,
                    "report": page.report,
                }
                for page in self.pages
            ],
        }

    def to_text(self) -> str:
        """A few lines for a person."""
        read = len(self.pages) - self.n_failed
        unsure = f"{self.n_unsure} of them with less than {CONFIDENT:.0%} confidence"
        lines = [f"{read} of {len(self.pages)} pages read, {unsure}."]
        lines += [f"  not read: {page.source} (page {page.page}): {page.error}" for page in self.pages if page.error]
        if self.html_path is not None:
            lines.append(f"Report: {self.html_path}")
        return "\n".join(lines)


Digitizer = Callable[[UInt8[np.ndarray, "h w 3"]], Digitization]


def run_batch(
    inputs: Sequence[str | Path],
    out: Path,
    options: BatchOptions | None = None,
    *,
    segmenter: Segmenter | str = AUTO,
    progress: bool = True,
    digitizer: Digitizer | None = None,
) -> BatchSummary:
    """Read all pages of files, folders and globs, and write what was read into a folder.

    Args:
        inputs: files, folders and globs.
        out: folder of the results; it is made if need be.
        options: how pages are read.
        segmenter: "auto", the name of an installed segmenter, or a callable; it is loaded once.
        progress: show a bar on a terminal; a log line a page is written in any case.
        digitizer: reads a page instead of `digitize` with these options and this segmenter.

    Raises:
        ConfigError: no pages, an unknown segmenter, or an impossible option; all before the first page is read.
        LayoutError: an unknown layout.
        StorageError: the folder cannot be written.
    """
    options = options or BatchOptions()
    check_options(options.layout, options.speed, options.gain, options.px_per_mm, options.fs_hz)
    pages = list_pages(inputs)
    _check_writable(out)
    read = digitizer or _digitizer(options, segmenter)
    outcomes: list[PageOutcome] = []
    entries: list[Entry] = []
    for page in tqdm(pages, desc="pages", unit="page", disable=None if progress else True):
        outcome, entry = _read_one(page, out, read, options.html)
        outcomes.append(outcome)
        if entry is not None:
            entries.append(entry)
    if not options.html:
        return BatchSummary(tuple(outcomes))
    report = out / REPORT_NAME
    write_atomically(report, lambda file: file.write(build_html(entries).encode()))
    return BatchSummary(tuple(outcomes), report)


def _digitizer(options: BatchOptions, segmenter: Segmenter | str) -> Digitizer:
    loaded = load_segmenters(segmenter) if isinstance(segmenter, str) else segmenter
    return lambda image: digitize(
        image,
        segmenter=loaded,
        layout=options.layout,
        speed=options.speed,
        gain=options.gain,
        px_per_mm=options.px_per_mm,
        fs_hz=options.fs_hz,
    )


def _check_writable(out: Path) -> None:
    """Fail before the first page is read, not after."""
    probe = out / ".ecg_flare_probe"
    write_atomically(probe, lambda file: file.write(b""))
    try:
        probe.unlink()
    except OSError as error:
        raise StorageError(f"{out} cannot be tidied: {error.strerror}") from error


def _read_one(page: PageFile, out: Path, read: Digitizer, html: bool) -> tuple[PageOutcome, Entry | None]:
    begun = time.perf_counter()
    try:
        source = read_page(page)
        result = read(source.image)
        result = _with_notes(result, source.warnings)
        overlay = draw_overlay(result)
        report = dict(write_result(result, overlay, out, page))
        entry = read_entry(page.title, page.name, result, overlay) if html else None
    except _PAGE_FAILURES as error:
        expected = isinstance(error, EcgFlareError)
        reason = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
        _LOG.warning("%s was not read: %s", page.title, reason, exc_info=not expected)
        outcome = PageOutcome(str(page.path), page.number, page.name, time.perf_counter() - begun, error=reason)
        return outcome, failed_entry(page.title, page.name, reason) if html else None
    seconds = time.perf_counter() - begun
    _LOG.info("%s: %s, %.0f %% sure, %.1f s", page.title, result.layout, 100 * result.confidence, seconds)
    return PageOutcome(str(page.path), page.number, page.name, seconds, report=report), entry


def _with_notes(result: Digitization, notes: tuple[str, ...]) -> Digitization:
    return replace(result, warnings=(*notes, *result.warnings)) if notes else result
