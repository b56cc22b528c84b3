"""Runs that are kept in a folder, with their models: the same command goes on where it was ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import click
import numpy as np
from tqdm import tqdm

from benchmarks.learning.bench import Bench, Vector
from benchmarks.learning.methods import Order, Promise
from benchmarks.run_lines import Ordered, RunLines, grouped


class Kept(Ordered, Protocol):
    """A finished run, which knows its order."""

    @property
    def order(self) -> Order:
        """What determined it."""
        ...


K = TypeVar("K", bound=Kept)


def finished(
    bench: Bench,
    orders: Sequence[Order],
    file: RunLines[K],
    folder: Path,
    measured: Callable[[Order, Vector, Promise, float], K],
) -> list[K]:
    """The run of each order: kept, or trained and measured now.

    Args:
        bench: trains.
        orders: what is wanted.
        file: has the runs that are kept.
        folder: has their models.
        measured: (order, model, promise, CPU seconds of training) -> the run.
    """
    kept = file.runs()
    for run in kept.values():
        if not run.order.method.trains and run.order.budget == bench.budget:
            bench.public[run.order.seed] = np.load(model_path(folder, run.order))
    missing = [order for order in orders if order.key not in kept]
    total = sum(order.budget.rounds for order in missing)
    with tqdm(total=total, unit="round", disable=not sys.stderr.isatty()) as bar:
        for order in missing:
            bar.set_description(f"{order.method.name}, seed {order.seed}")
            started = time.process_time()
            model, promise = bench.run(order.method, order.seed, bar.update)
            run = measured(order, model, promise, time.process_time() - started)
            np.save(model_path(folder, order), model)
            file.append(run)
            kept[order.key] = run
            say(f"{order.method.name}, seed {order.seed}: {run}")
    return [kept[order.key] for order in orders]


def known(file: RunLines[K], orders: Sequence[Order]) -> list[K]:
    """Those of the orders whose runs are kept; raises click.ClickException where none is."""
    runs = file.runs()
    found = [runs[order.key] for order in orders if order.key in runs]
    if not found:
        raise click.ClickException("no such run is kept: leave out --told")
    return found


def by_name(runs: Iterable[K]) -> dict[str, list[K]]:
    """Runs by the name of their method, in their order."""
    return grouped(runs, lambda run: run.order.method.name)


def model_path(folder: Path, order: Order) -> Path:
    """Where the model of a run is kept."""
    return folder / f"{order.key[:24]}.npy"


def say(line: str) -> None:
    """A line for people, above the bar."""
    tqdm.write(line, file=sys.stderr)
