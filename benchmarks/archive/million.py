"""The manifest of an archive that nobody has the time to read: what it costs to open it and to pass its pages by.

    python -m benchmarks.archive.million [--pages 1000000]

The pages are empty files, and the manifest says that they were read. Then a run lists them all, finds that they stand,
and writes the table. Each step is a process of its own, whose peak memory is told.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from benchmarks.markdown import row
from ecg_flare.digitize.archive.identity import file_digest
from ecg_flare.digitize.archive.listing import Reader, to_read
from ecg_flare.digitize.archive.manifest import MANIFEST_NAME, READ, Entry, Stamp, open_manifest
from ecg_flare.digitize.archive.table import CSV_NAME, row_of, write_tables
from ecg_flare.digitize.files.summary import PageOutcome
from ecg_flare.page.page_list import find_files

READER: Final = Reader("1.0+0123456789abcdef", "0123456789abcdef", html=False)
WARNINGS: Final = ["steep ink beside V3 is no part of its line, up to 5 mm high: a peak may be cut off there"]
REPORT: Final = {
    "confidence": 0.87,
    "warnings": WARNINGS,
    "layout": {"name": "3x4+1R", "confidence": 0.99},
    "calibration": {"speed_mm_per_s": 25.0, "speed_source": "measured", "px_per_mm_x": 7.874, "px_per_mm_y": 7.874},
    "recording": {"reason": None, "fs_hz": 500.0, "duration_s": 10.0},
}
_PAGES_A_FOLDER: Final = 10_000


@click.command()
@click.option("--pages", default=1_000_000, show_default=True, type=click.IntRange(1))
def main(pages: int) -> None:
    """Measure a manifest of so many pages."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        click.echo(row("step", "seconds", "peak memory, MB", "file, MB"))
        click.echo("|---" * 4 + "|")
        for step in (nothing, draw, fill, open_it, pass_by, tell):
            seconds, megabytes = _measured(step, root, pages)
            name = {tell: CSV_NAME}.get(step, MANIFEST_NAME)
            size = (root / "out" / name).stat().st_size / 1e6 if (root / "out" / name).exists() else 0.0
            click.echo(row(step.__doc__ or "", f"{seconds:.1f}", f"{megabytes:.0f}", f"{size:.0f}"))


def nothing(root: Path, pages: int) -> None:
    """nothing: what the libraries take"""


def draw(root: Path, pages: int) -> None:
    """make the files"""
    (root / "out").mkdir()
    for number in range(pages):
        if number % _PAGES_A_FOLDER == 0:
            (root / f"in{number // _PAGES_A_FOLDER:03}").mkdir()
        _page(root, number).touch()
        (root / "out" / f"{_page(root, number).stem}.json").touch()


def fill(root: Path, pages: int) -> None:
    """fill the manifest"""
    first = _page(root, 0)
    row_of_first = row_of(PageOutcome(str(first), 1, first.stem, 2.5, REPORT), READ)
    entry = Entry(
        name=first.stem,
        source=str(first),
        page=1,
        pages=1,
        stamp=Stamp(0, 0),
        sha256=file_digest(first),
        reader=READER.version,
        settings=READER.settings,
        status=READ,
        settled=False,
        confidence=0.87,
        error=None,
        seconds=2.5,
        stages={},
        row=row_of_first,
        call=1,
        place=0,
    )
    with open_manifest(root / "out") as manifest:
        manifest.record(entry)
    with sqlite3.connect(root / "out" / MANIFEST_NAME) as rows:
        rows.execute("CREATE TEMP TABLE first AS SELECT * FROM pages")
        rows.execute("DELETE FROM pages")
        rows.execute("CREATE TEMP TABLE others (name, source, size, mtime_ns, row, place)")
        rows.executemany("INSERT INTO others VALUES (?, ?, ?, ?, ?, ?)", _others(root, pages, row_of_first))
        rows.execute(
            "INSERT INTO pages SELECT others.name, others.source, page, pages, others.size, others.mtime_ns, sha256, "
            "reader, settings, status, settled, confidence, error, seconds, stages, others.row, call, others.place "
            "FROM others JOIN first"
        )


def _others(root: Path, pages: int, told: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for number in range(pages):
        path = _page(root, number)
        found = path.stat()
        text = json.dumps(told | {"source": str(path), "name": path.stem})
        yield path.stem, str(path), found.st_size, found.st_mtime_ns, text, number


def open_it(root: Path, pages: int) -> None:
    """open the manifest, and look a page up"""
    with open_manifest(root / "out") as manifest:
        assert manifest.find(_page(root, pages - 1).stem) is not None


def pass_by(root: Path, pages: int) -> None:
    """list all files, and find that all of them stand"""
    found = find_files(sorted(root.glob("in*")))
    with open_manifest(root / "out") as manifest:
        assert sum(item is None for item in to_read(found.files, root / "out", manifest, READER)) == pages


def tell(root: Path, pages: int) -> None:
    """write the table"""
    with open_manifest(root / "out") as manifest:
        write_tables(manifest.rows(), root / "out")


def _page(root: Path, number: int) -> Path:
    return root / f"in{number // _PAGES_A_FOLDER:03}" / f"page-{number:07}.png"


def _measured(step: Callable[[Path, int], None], root: Path, pages: int) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a step in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_run, (step, root, pages))


def _run(step: Callable[[Path, int], None], root: Path, pages: int) -> tuple[float, float]:
    begun = time.perf_counter()
    step(root, pages)
    return time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
