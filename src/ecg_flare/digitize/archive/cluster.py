"""Pages read by the workers of a Dask cluster, which see the same files under the same paths as this process.

Each process of the cluster has one page at a time, whatever its threads. Dask gives the page of a lost worker to
another one. It gives a page up that was with as many lost workers as the scheduler allows, and counts those where the
page only waited behind another one. So a page that is given up is read once more when all others are done, alone: if
that loses its workers, too, no other page can be the cause, and it is reported as not read.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ecg_flare.digitize.archive.identity import reader_version
from ecg_flare.digitize.archive.listing import ToRead
from ecg_flare.digitize.archive.processes import lost
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


def read_by_cluster(pages: Iterator[ToRead | None], setup: Setup, address: str) -> Results:
    """Read pages by the workers of the scheduler at `address`, and give each as it is done; None for each None.

    Raises ConfigError where the extra `cluster` is not installed, the scheduler does not answer or has no worker, or
    a worker has other code, or does not see this process's folder.
    """
    with _client(address) as client:
        cluster = _Cluster(client.get_executor(pure=False), Order(setup, reader_version(), Path.cwd()))
        for item in pages:
            if item is None:
                yield None
                continue
            while len(cluster.running) >= PAGES_A_THREAD * max(1, sum(client.nthreads().values())):
                yield from cluster.finished()
            cluster.submit(item)
        while cluster.running:
            yield from cluster.finished()
        while cluster.given_up:
            yield cluster.read_alone(cluster.given_up.pop())


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


@dataclass
class _Cluster:
    """The pages that the workers have.

    Attributes:
        executor: hands a page to a worker.
        order: what a worker has to know.
        running: page by its answer.
        given_up: pages whose workers were lost.
    """

    executor: Executor
    order: Order
    running: dict[Future[Done], ToRead] = field(default_factory=dict)
    given_up: list[ToRead] = field(default_factory=list)

    def submit(self, item: ToRead) -> None:
        """Hand out a page."""
        self.running[self._asked(item)] = item

    def finished(self) -> Iterator[tuple[ToRead, Done]]:
        """Wait for the next pages that are done."""
        from distributed import KilledWorker

        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        for future in done:
            item = self.running.pop(future)
            try:
                found = future.result()
            except KilledWorker:
                self.given_up.append(item)
            else:
                yield item, found

    def read_alone(self, item: ToRead) -> tuple[ToRead, Done]:
        """Read a page that was given up, while the cluster has no other one."""
        from distributed import KilledWorker

        begun = time.perf_counter()
        try:
            return item, self._asked(item).result()
        except KilledWorker as error:
            return item, lost(item, self.order.setup, str(error), time.perf_counter() - begun)

    def _asked(self, item: ToRead) -> Future[Done]:
        return self.executor.submit(read_on_worker, item.page, self.order)
