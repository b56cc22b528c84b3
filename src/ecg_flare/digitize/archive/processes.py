"""Pages read by several processes: each has one page at a time, so that a lost process is the loss of that page.

A page whose process is lost (killed for memory, or by a fault of a library) is read once more, in a new process. If
that is lost, too, the page is reported as not read. The other processes go on undisturbed.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Final

from loky.backend import get_context
from loky.process_executor import ProcessPoolExecutor

from ecg_flare.digitize.archive.listing import ToRead
from ecg_flare.digitize.archive.worker import THREADS, Done, Results, Setup, begin, read
from ecg_flare.digitize.files.batch import failed_outcome
from ecg_flare.digitize.files.html import failed_entry

TRIES: Final = 2
"""How often a page is read whose process is lost."""


@dataclass(frozen=True)
class _Task:
    item: ToRead
    executor: ProcessPoolExecutor
    begun: float
    tries: int = 1


def read_by_processes(pages: Iterator[ToRead | None], setup: Setup, workers: int) -> Results:
    """Read pages by so many processes, and give each as it is done; None for each None.

    Raises ConfigError where the processes cannot load what reads pages. All of them are ended, whatever happens.
    """
    free = deque(_executor(setup) for _ in range(workers))
    running: dict[Future[Done], _Task] = {}
    try:
        for item in pages:
            if item is None:
                yield None
                continue
            while not free:
                yield from _finished(running, free, setup)
            _submit(_Task(item, free.popleft(), time.perf_counter()), running)
        while running:
            yield from _finished(running, free, setup)
    finally:
        for executor in (*free, *(task.executor for task in running.values())):
            executor.shutdown(wait=True, kill_workers=True)


def _executor(setup: Setup) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=1, context=get_context("loky"), initializer=begin, initargs=(setup, os.getpid()), env=THREADS
    )


def _submit(task: _Task, running: dict[Future[Done], _Task]) -> None:
    running[task.executor.submit(read, task.item.page)] = task


def _finished(
    running: dict[Future[Done], _Task], free: deque[ProcessPoolExecutor], setup: Setup
) -> Iterator[tuple[ToRead, Done]]:
    """Wait for the next pages that are done; a page whose process is lost goes on in a new one."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        task = running.pop(future)
        try:
            found = future.result()
        except BrokenProcessPool as error:
            task.executor.shutdown(wait=True, kill_workers=True)
            task = replace(task, executor=_executor(setup))
            if task.tries < TRIES:
                _submit(replace(task, tries=task.tries + 1), running)
                continue
            found = lost(task.item, setup, str(error), time.perf_counter() - task.begun)
        free.append(task.executor)
        yield task.item, found


def lost(item: ToRead, setup: Setup, why: str, seconds: float) -> Done:
    """What is told of a page whose process was lost each time."""
    reason = f"the process that read it was lost {TRIES} times ({' '.join(why.split())}): memory may be short"
    outcome = failed_outcome(item.page, setup.out, reason, seconds)
    return outcome, failed_entry(item.page.title, item.page.name, str(outcome.error)) if setup.html else None
