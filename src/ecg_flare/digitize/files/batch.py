"""Many pages, one after another: a page that fails is reported, and the next one is read."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from ecg_flare.digitize.files.earlier import earlier_reading
from ecg_flare.digitize.files.html import PageEntry, build_html, failed_entry, read_entry
from ecg_flare.digitize.files.output import write_result
from ecg_flare.digitize.files.overlay import draw_overlay
from ecg_flare.digitize.files.summary import BatchSummary, PageOutcome
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.result import Digitization
from ecg_flare.errors import EcgFlareError, StorageError
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import list_pages, read_page
from ecg_flare.storage import write_atomically

REPORT_NAME: Final = "report.html"

_LOG = logging.getLogger(__name__)
# Beside the errors raised on purpose: what arrays and their libraries raise at a page nobody thought of.
_PAGE_FAILURES: Final = (EcgFlareError, ArithmeticError, LookupError, MemoryError, ValueError, cv2.error)

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
    options.outputs.check(listed.pages, options.fs_hz)
    _check_writable(out)
    reading = _Reading(digitizer or _digitizer(options), out, html=html, options=options)
    outcomes: list[PageOutcome] = []
    entries: list[PageEntry] = []
    for page in tqdm(listed.pages, desc="pages", unit="page", disable=None if progress else True):
        outcome, entry = _read_one(page, reading)
        outcomes.append(outcome)
        if entry is not None:
            entries.append(entry)
    if not html:
        return BatchSummary(tuple(outcomes), left_out=listed.left_out)
    report = out / REPORT_NAME
    write_atomically(report, lambda file: file.write(build_html(entries).encode()))
    return BatchSummary(tuple(outcomes), report, listed.left_out)


@dataclass(frozen=True)
class _Reading:
    """How each page of a batch is read, and what is written of it."""

    read: Digitizer
    out: Path
    html: bool
    options: ReadingOptions


def _digitizer(options: ReadingOptions) -> Digitizer:
    return partial(digitize, options=replace(options, segmenter=options.segmenters()))


def _check_writable(out: Path) -> None:
    """Fail before the first page is read, not after."""
    probe = out / ".ecg_flare_probe"
    write_atomically(probe, lambda file: file.write(b""))
    try:
        probe.unlink()
    except OSError as error:
        raise StorageError(f"{out} cannot be tidied: {error.strerror}") from error


def _read_one(page: PageFile, reading: _Reading) -> tuple[PageOutcome, PageEntry | None]:
    begun = time.perf_counter()
    try:
        earlier_reading(reading.out, page.name)  # what would be overwritten is said before the page is read
        source = read_page(page)
        result = reading.read(source.image)
        result = _with_notes(result, source.warnings)
        overlay = draw_overlay(result)
        options = reading.options
        report = dict(write_result(result, overlay, reading.out, page, force=options.force, outputs=options.outputs))
        withheld = report["recording"]["reason"]
        entry = read_entry(page.title, page.name, result, overlay, withheld) if reading.html else None
    except _PAGE_FAILURES as error:
        expected = isinstance(error, EcgFlareError)
        reason = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
        reason += _forget_earlier(reading.out, page.name)
        _LOG.warning("%s was not read: %s", page.title, reason, exc_info=not expected)
        outcome = PageOutcome(str(page.path), page.number, page.name, time.perf_counter() - begun, error=reason)
        return outcome, failed_entry(page.title, page.name, reason) if reading.html else None
    seconds = time.perf_counter() - begun
    _LOG.info("%s: %s, %.0f %% sure, %.1f s", page.title, result.layout, 100 * result.confidence, seconds)
    if withheld is not None:
        _LOG.warning("%s was withheld: %s", page.title, withheld)
    return PageOutcome(str(page.path), page.number, page.name, seconds, report=report), entry


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
