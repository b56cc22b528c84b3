"""Many pages, one after another: a page that fails is reported, and the next one is read."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from ecg_flare.digitize.failures import PAGE_FAILURES
from ecg_flare.digitize.files.earlier import earlier_reading
from ecg_flare.digitize.files.html import PageEntry, Picture, build_html, embedded, failed_entry, read_entry
from ecg_flare.digitize.files.output import write_result
from ecg_flare.digitize.files.overlay import draw_overlay
from ecg_flare.digitize.files.summary import BatchSummary, PageOutcome
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.result import Digitization
from ecg_flare.errors import EcgFlareError, InputError, PageError, StorageError
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.pdf_paths import DrawnLines
from ecg_flare.page.reader import PageImage, list_pages, read_lines, read_page
from ecg_flare.storage import write_atomically

REPORT_NAME: Final = "report.html"

_LOG = logging.getLogger(__name__)

Digitizer = Callable[[UInt8[np.ndarray, "h w 3"]], Digitization]


def run_batch(
    inputs: Sequence[str | Path],
    out: Path,
    options: ReadingOptions | None = None,
    *,
    html: bool = False,
    progress: bool = True,
    digitizer: Digitizer | None = None,
) -> BatchSummary:
    """Read all pages of files, folders and globs, and write what was read into a folder.

    Args:
        inputs: files, folders and globs.
        out: folder of the results; it is made if need be.
        options: how pages are read, and whether recordings below WRITTEN are written, too; a segmenter is loaded once.
        html: write REPORT_NAME, too.
        progress: show a bar on a terminal; a log line a page is written in any case.
        digitizer: reads a page instead of `digitize` with these options.

    Raises:
        ConfigError: no pages, an unknown segmenter, or a format that lacks a patient; all before a page is read.
        StorageError: the folder cannot be written.
    """
    listed = list_pages(inputs)
    options = options or ReadingOptions()
    options.outputs.check((page.path for page in listed.pages), options.fs_hz)
    check_writable(out)
    reading = Reading.by(options, out, embedded if html else None, digitizer)
    outcomes: list[PageOutcome] = []
    entries: list[PageEntry] = []
    for page in tqdm(listed.pages, desc="pages", unit="page", disable=None if progress else True):
        outcome, entry = read_one(page, reading)
        log_outcome(page.title, outcome)
        outcomes.append(outcome)
        if entry is not None:
            entries.append(entry)
    if not html:
        return BatchSummary(tuple(outcomes), left_out=listed.left_out)
    report = out / REPORT_NAME
    write_atomically(report, lambda file: file.write(build_html(entries).encode()))
    return BatchSummary(tuple(outcomes), report, listed.left_out)


@dataclass(frozen=True)
class Reading:
    """How each page of a batch is read, and what is written of it.

    Attributes:
        read: reads the pixels of a page, and the lines that its file draws, if it is such a file.
        out: folder of the results.
        options: say which recordings are written, in which formats, and whose they are.
        picture: where the report has a page's picture from; None where there is no report.
    """

    read: Callable[[UInt8[np.ndarray, "h w 3"], DrawnLines | None], Digitization]
    out: Path
    options: ReadingOptions
    picture: Picture | None = None

    @classmethod
    def by(
        cls, options: ReadingOptions, out: Path, picture: Picture | None = None, digitizer: Digitizer | None = None
    ) -> Reading:
        """Read as the options say, by `digitizer` where there is one; the segmenter is loaded now.

        Raises ConfigError for an unknown segmenter.
        """
        if digitizer is not None:
            return cls(lambda image, lines: digitizer(image), out, options, picture)
        loaded = replace(options, segmenter=options.segmenters())
        return cls(lambda image, lines: digitize(image, loaded, lines=lines), out, options, picture)


def check_writable(out: Path) -> None:
    """Raise StorageError before the first page is read, not after."""
    probe = out / ".ecg_flare_probe"
    write_atomically(probe, lambda file: file.write(b""))
    try:
        probe.unlink()
    except OSError as error:
        raise StorageError(f"{out} cannot be tidied: {error.strerror}") from error


def read_one(page: PageFile, reading: Reading) -> tuple[PageOutcome, PageEntry | None]:
    """Read a page and write its files: what became of it, and its part of the report where there is one."""
    begun = time.perf_counter()
    try:
        earlier_reading(reading.out, page.name)  # what would be overwritten is said before the page is read
        source = read_page(page)
        lines, notes = _lines_of(page, source)
        result = reading.read(source.image, lines)
        result = _with_notes(result, (*source.warnings, *notes))
        overlay = draw_overlay(result)
        report = dict(write_result(result, overlay, reading.out, page, options=reading.options))
        withheld = report["recording"]["reason"]
        entry = None
        if reading.picture is not None:
            entry = read_entry(page.title, page.name, result, reading.picture(page.name, overlay), withheld)
    except PAGE_FAILURES as error:
        reason = str(error)
        if not isinstance(error, EcgFlareError):
            reason = f"unexpected {type(error).__name__}: {error}"
            _LOG.warning("%s: %s", page.title, reason, exc_info=True)
        outcome = failed_outcome(page, reading.out, reason, time.perf_counter() - begun)
        outcome = replace(outcome, settled=isinstance(error, InputError))
        return outcome, failed_entry(page.title, page.name, str(outcome.error)) if reading.picture else None
    seconds, stages = time.perf_counter() - begun, dict(result.seconds)
    return PageOutcome(str(page.path), page.number, page.name, seconds, report=report, stages=stages), entry


def _lines_of(page: PageFile, source: PageImage) -> tuple[DrawnLines | None, tuple[str, ...]]:
    """The lines that the file draws; or why they are not there, where it was to have some."""
    try:
        return read_lines(page, source), ()
    except PageError as error:
        return None, (f"the lines that the PDF draws could not be read: {error}",)


def failed_outcome(page: PageFile, out: Path, reason: str, seconds: float) -> PageOutcome:
    """What became of a page that was not read; the files of an earlier reading of it are removed."""
    error = reason + _forget_earlier(out, page.name)
    return PageOutcome(str(page.path), page.number, page.name, seconds, error=error)


def log_outcome(title: str, outcome: PageOutcome) -> None:
    """Write a log line of what became of a page."""
    if outcome.report is None:
        _LOG.warning("%s was not read: %s", title, outcome.error)
        return
    layout, confidence = outcome.report["layout"]["name"], outcome.report["confidence"]
    _LOG.info("%s: %s, %.0f %% sure, %.1f s", title, layout, 100 * confidence, outcome.seconds)
    if outcome.withheld is not None:
        _LOG.warning("%s was withheld: %s", title, outcome.withheld)


def _forget_earlier(folder: Path, name: str) -> str:
    """Remove an earlier reading of a page that was not read now, as nobody could tell it from a reading of this run.

    Returns what to add to the page's error where that fails.
    """
    try:
        earlier = earlier_reading(folder, name)
    except StorageError:  # of somebody else
        return ""
    try:
        earlier.remove()
    except StorageError as error:
        return f"; {error}"
    return ""


def _with_notes(result: Digitization, notes: tuple[str, ...]) -> Digitization:
    return replace(result, warnings=(*notes, *result.warnings)) if notes else result
