"""An archive read by one process, by two, by a Dask cluster of two, and by two that are killed and begun again.

    python -m benchmarks.archive.runs [--pages 200] [--dpi 100]

Rendered pages of synthetic recordings, read by the command itself with the classical segmenter. Pages a minute count
from the beginning of the command to its end; memory is the largest sum over its processes (RSS: what they share counts
for each; those of the Dask workers are not counted). The last column compares all files but the manifest with those of
the first run, bit for bit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np
import psutil

from benchmarks.markdown import row
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle

SEED: Final = 27_182
_COMMAND: Final = (sys.executable, "-c", "from ecg_flare.cli import main; main()")
_SECONDS_BETWEEN_LOOKS: Final = 0.2


@click.command()
@click.option("--pages", default=200, show_default=True, type=click.IntRange(4))
@click.option("--dpi", default=100, show_default=True, type=click.IntRange(75, 600))
def main(pages: int, dpi: int) -> None:
    """Measure the runs."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "pages").mkdir()
        for number in range(pages):
            rng = np.random.default_rng([SEED, number])
            page = render_page(synthesize(rng), PageStyle(dpi=dpi), rng)
            cv2.imwrite(str(root / "pages" / f"page-{number:04}.png"), page.image[:, :, ::-1])
        click.echo(row("run", "pages a minute", "peak memory, GB", "files as by one process"))
        click.echo("|---" * 4 + "|")
        _tell(root, "one", pages, "one process", _read(root, "one"))
        _tell(root, "two", pages, "2 workers", _read(root, "two", "--workers", "2"))
        with _cluster(root) as address:
            _tell(root, "dask", pages, "2 Dask workers", _read(root, "dask", "--dask", address))
        killed = _read(root, "killed", "--workers", "2", until=pages // 2)
        again = _read(root, "killed", "--workers", "2")
        both = (killed[0] + again[0], max(killed[1], again[1]))
        _tell(root, "killed", pages, f"2 workers, killed after {pages // 2} pages, and again", both)
        click.echo(f"{pages} pages at {dpi} dpi, seed {SEED}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _tell(root: Path, name: str, pages: int, what: str, told: tuple[float, float]) -> None:
    seconds, gigabytes = told
    same = "yes" if _contents(root / name) == _contents(root / "one") else "NO"
    click.echo(row(what, f"{60 * pages / seconds:.1f}", f"{gigabytes:.2f}", same))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.sqlite"}


def _read(root: Path, name: str, *options: str, until: int | None = None) -> tuple[float, float]:
    """Seconds and peak gigabytes of the command; it is killed once so many pages are read, where that is given."""
    arguments = ("digitize", "pages", "-o", name, "--segmenter", "classical", "--words", "off", "--html", *options)
    begun = time.perf_counter()
    process = subprocess.Popen((*_COMMAND, *arguments), cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _gigabytes(process.pid))
        if until is not None and len(list((root / name).glob("*.json"))) >= until:
            process.kill()
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if until is None and process.returncode not in (0, 3):
        raise click.ClickException(f"the run {name} ended with {process.returncode}")
    return time.perf_counter() - begun, peak


def _gigabytes(pid: int) -> float:
    total = 0
    try:
        parent = psutil.Process(pid)
        for each in (parent, *parent.children(recursive=True)):
            total += each.memory_info().rss
    except psutil.Error:  # it ended meanwhile
        pass
    return total / 1e9


@contextmanager
def _cluster(root: Path) -> Iterator[str]:
    """A scheduler and two workers on this machine; gives the scheduler's address."""
    from distributed import Client

    file = root / "scheduler.json"
    common = ("--scheduler-file", str(file), "--no-dashboard")
    commands: Sequence[tuple[str, ...]] = (
        ("scheduler", "--host", "127.0.0.1", "--port", "0", *common),
        *(("worker", "--nthreads", "1", "--local-directory", str(root), *common),) * 2,
    )
    with ExitStack() as ended:
        for command in commands:
            arguments = (sys.executable, "-m", f"distributed.cli.dask_{command[0]}", *command[1:])
            process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ended.callback(process.wait)
            ended.callback(process.terminate)
        with Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            address = str(client.scheduler.address)
        yield address


if __name__ == "__main__":
    main()
