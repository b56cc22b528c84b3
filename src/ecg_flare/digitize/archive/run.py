"""An archive read: its pages listed, those that stand passed by, the others read, and all of them told in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from ecg_flare.digitize.archive.identity import digest_of, reader_version, settings_text
from ecg_flare.digitize.archive.listing import Reader, ToRead, to_read
from ecg_flare.digitize.archive.manifest import FAILED, READ, WITHHELD, Article, Entry, Manifest, Status, open_manifest
from ecg_flare.digitize.archive.parts import write_report
from ecg_flare.digitize.archive.summary import ArchiveSummary
from ecg_flare.digitize.archive.table import row_of, write_tables
from ecg_flare.digitize.archive.worker import Done, Results, Setup
from ecg_flare.digitize.files.batch import Digitizer, check_writable, log_outcome, read_one
from ecg_flare.digitize.files.earlier import OVERLAY_ENDING
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.ecg.formats.registry import FORMATS, endings
from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import find_files
from ecg_flare.storage import remove_unfinished, wait_for_writers

LAST_FILE_S: Final = 60.0
"""How long the processes of a killed run are waited for: they end within a second, but for a slow disk."""

_ENDINGS: Final = (*endings(tuple(FORMATS)), OVERLAY_ENDING, ".json", ".html", ".parquet")


@dataclass(frozen=True)
class Effort:
    """How an archive is read.

    Attributes:
        workers: processes that read pages; 1 is this process.
        dask: address of the scheduler of a Dask cluster, whose workers read pages instead.
        html: write the report, too.
        progress: show a bar on a terminal; a log line a page is written in any case.
        digitizer: reads a page instead of `digitize` with the options.

    Raises ConfigError for less than one worker, and for several beside a cluster.
    """

    workers: int = 1
    html: bool = False
    progress: bool = True
    digitizer: Digitizer | None = None
    dask: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers}; expected 1 or more processes")
        if self.dask is not None and self.workers > 1:
            raise ConfigError(f"workers is {self.workers} beside a Dask cluster, which has its own: give one of both")


def read_archive(
    inputs: Sequence[str | Path], out: Path, options: ReadingOptions | None = None, effort: Effort | None = None
) -> ArchiveSummary:
    """Read all pages of files, folders and globs that are not read yet, and tell of all of them.

    A page stands that was read from the same bytes by the same code with the same settings. What is written does not
    depend on the number of workers, on the order in which they are done, or on how often the run was ended and begun
    again. It is that of `write_result`, with pages.csv and pages.parquet on all pages that the folder has results of,
    the report on those of this run, and the manifest.

    Raises:
        ConfigError: no pages, an unknown segmenter, a format that lacks a patient, or a cluster that cannot be used.
        StorageError: the folder cannot be written, or another run writes into it.
    """
    options, effort = options or ReadingOptions(), effort or Effort()
    found = find_files(inputs)
    if effort.digitizer is None:
        options.segmenters()  # an unknown one is told before the first page
    options.outputs.check(found.files, options.fs_hz)
    check_writable(out)
    settings = settings_text(options)
    reader = Reader(reader_version(), digest_of(settings), effort.html)
    with open_manifest(out) as manifest:
        wait_for_writers(out, LAST_FILE_S)
        remove_unfinished(out, _ENDINGS)
        manifest.explain(reader.settings, settings)
        pages = to_read(found.files, out, manifest, reader)
        standing = 0
        setup = Setup.here(options, out, effort.html, effort.digitizer)
        with _bar(len(found.files), effort.progress) as bar, closing(_read(pages, setup, effort)) as results:
            for result in results:
                if result is None:
                    standing += 1
                else:
                    _record(manifest, reader, *result)
                bar.update()
        write_tables(manifest.rows(), out)
        summary = ArchiveSummary.of(manifest, out, standing, found.left_out)
        return replace(summary, html_path=write_report(manifest, out)) if effort.html else summary


def _bar(files: int, progress: bool) -> tqdm[Any]:
    """A bar that knows at its beginning how many files there are, which may hold more pages."""
    return tqdm(total=files, desc="pages", unit="page", disable=None if progress else True)


def _read(pages: Iterator[ToRead | None], setup: Setup, effort: Effort) -> Results:
    if effort.dask is not None:
        from ecg_flare.digitize.archive.cluster import read_by_cluster

        return read_by_cluster(pages, setup, effort.dask)
    if effort.workers == 1:
        return _read_here(pages, setup)
    from ecg_flare.digitize.archive.processes import read_by_processes

    return read_by_processes(pages, setup, effort.workers)


def _read_here(pages: Iterator[ToRead | None], setup: Setup) -> Results:
    reading = setup.reading()
    for item in pages:
        yield None if item is None else (item, read_one(item.page, reading))


def _record(manifest: Manifest, reader: Reader, item: ToRead, done: Done) -> None:
    outcome, told = done
    status: Status = FAILED if outcome.report is None else WITHHELD if outcome.withheld else READ
    log_outcome(item.page.title, outcome)
    entry = Entry(
        name=outcome.name,
        source=outcome.source,
        page=outcome.page,
        pages=item.pages,
        stamp=item.stamp,
        sha256=item.sha256,
        reader=reader.version,
        settings=reader.settings,
        status=status,
        settled=outcome.settled,
        confidence=outcome.confidence,
        error=outcome.error or outcome.withheld,
        seconds=outcome.seconds,
        stages=outcome.stages,
        row=row_of(outcome, status),
        call=manifest.call,
        place=item.place,
    )
    manifest.record(entry, None if told is None else Article(told.row, told.article))
