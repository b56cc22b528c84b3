"""Pages read by the workers of a Dask cluster, which see the same files under the same paths as this process.

Each process of the cluster has one page at a time, whatever its threads. Dask gives the page of a lost worker to
another one; a page that loses as many workers as the scheduler allows is tried once more, and then reported as not
read.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ecg_flare.digitize.archive.identity import reader_version
from ecg_flare.digitize.archive.listing import ToRead
from ecg_flare.digitize.archive.processes import TRIES, lost
from ecg_flare.digitize.archive.worker import Done, Results, Setup
from ecg_flare.digitize.files.batch import Reading, read_one
from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import PageFile

PAGES_A_THREAD: Final = 2
"""Pages that are handed out for each thread of the cluster: one is read, one waits."""

_SECONDS: Final = 20
"""To reach the scheduler, and for its first worker."""

_one_at_a_time = threading.Lock()
_loaded: tuple[Setup, Reading] | None = None


@dataclass(frozen=True)
class Order:
    """What a worker has to know of a page beside the page.

    Attributes:
        setup: how it is read.
        version: of the code that is to read it.
        folder: that relative paths begin at.
    """

    setup: Setup
    version: str
    folder: Path


@dataclass(frozen=True)
class _Task:
    item: ToRead
    begun: float
    tries: int = 1


def read_by_cluster(pages: Iterator[ToRead | None], setup: Setup, address: str) -> Results:
    """Read pages by the workers of the scheduler at `address`, and give each as it is done; None for each None.

    Raises ConfigError where the extra `cluster` is not installed, the scheduler does not answer or has no worker, or
    a worker has other code, or does not see this process's folder.
    """
    with _client(address) as client:
        order = Order(setup, reader_version(), Path.cwd())
        executor: Executor = client.get_executor(pure=False)
        running: dict[Future[Done], _Task] = {}
        for item in pages:
            if item is None:
                yield None
                continue
            while len(running) >= PAGES_A_THREAD * max(1, sum(client.nthreads().values())):
                yield from _finished(running, executor, order)
            _submit(_Task(item, time.perf_counter()), running, executor, order)
        while running:
            yield from _finished(running, executor, order)


def read_on_worker(page: PageFile, order: Order) -> Done:
    """Read a page in a process of the cluster.

    Raises ConfigError where its code is another, it does not see the folder, or what reads pages cannot be loaded.
    """
    global _loaded
    if reader_version() != order.version:
        raise ConfigError(f"a worker has ecg_flare {reader_version()}, expected {order.version}: install the same")
    if not order.folder.is_dir():
        raise ConfigError(f"a worker does not see the folder {order.folder}: it has to be shared, under the same path")
    with _one_at_a_time, contextlib.chdir(order.folder):
        if _loaded is None or _loaded[0] != order.setup:
            import cv2

            cv2.setNumThreads(1)
            _loaded = order.setup, order.setup.reading()
        return read_one(page, _loaded[1])


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError("--dask needs the extra `cluster`: pip install 'ecg_flare[cluster]'") from error
    try:
        client = Client(address, timeout=_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler answers at {address}: {' '.join(str(error).split())}") from error
    try:
        client.wait_for_workers(1, timeout=_SECONDS)
    except TimeoutError as error:
        client.close()
        raise ConfigError(f"the Dask scheduler at {address} has no worker: begin one with `dask worker`") from error
    return client


def _submit(task: _Task, running: dict[Future[Done], _Task], executor: Executor, order: Order) -> None:
    running[executor.submit(read_on_worker, task.item.page, order)] = task


def _finished(running: dict[Future[Done], _Task], executor: Executor, order: Order) -> Iterator[tuple[ToRead, Done]]:
    from distributed import KilledWorker

    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        task = running.pop(future)
        try:
            found = future.result()
        except KilledWorker as error:
            if task.tries < TRIES:
                _submit(replace(task, tries=task.tries + 1), running, executor, order)
                continue
            found = lost(task.item, order.setup, str(error), time.perf_counter() - task.begun)
        yield task.item, found
