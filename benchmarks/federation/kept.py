"""Runs of a federation that are kept, with their models: the same command goes on where it was ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Never

import numpy as np
from tqdm import tqdm

from benchmarks.federation.methods import Vector
from benchmarks.federation.runs import Bench
from benchmarks.federation.table import Order, Run, RunFile
from benchmarks.learning.kept import say
from ecg_flare.errors import ConfigError, RoundError
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector

_RANDOM: Final = "random"


def finished(bench: Bench, orders: Sequence[Order], folder: Path) -> list[Run]:
    """The run of each order: of the folder's runs.jsonl where it is there, otherwise trained and appended to it.

    A whole seed is trained before the next one, so that a benchmark that is ended early has all methods of its seeds. A
    run that diverges is told and left out.
    """
    file = RunFile(folder / "runs.jsonl")
    kept = file.runs()
    missing = sorted((order for order in orders if order.key not in kept), key=lambda order: order.seed)
    total = sum(order.budget.rounds for order in missing)
    with tqdm(total=total, unit="round", disable=not sys.stderr.isatty()) as bar:
        for order in missing:
            try:
                run, model = _run(bench, order, bar)
            except RoundError as error:
                say(f"{order.method.label}, seed {order.seed}: left out, {error}")
                continue
            path = model_path(folder, order)
            path.parent.mkdir(exist_ok=True)
            np.save(path, model)
            file.append(run)
            kept[order.key] = run
            say(f"{order.method.label}, seed {order.seed}: Dice {run.last.dice:.4f}, {run.cpu_s:.0f} CPU s")
    return [kept[order.key] for order in orders if order.key in kept]


def model_path(folder: Path, order: Order) -> Path:
    """Where the model of a run is kept, float32 of shape (d,)."""
    return folder / "models" / f"{order.key[:24]}.npy"


def first_model(start: str, plan: str, seed: int) -> Vector:
    """The model that a run starts from: a bundled one by its name, or 'random', drawn from the run's seed.

    Raises ConfigError for a bundled model of another plan.
    """
    check_start(start, plan)
    return initial_vector(plan_preset(plan), seed) if start == _RANDOM else load_bundled(start).vector


def check_start(start: str, plan: str) -> None:
    """Raise ConfigError where the first model is a bundled one of another plan, or there is none of that name."""
    if start != _RANDOM and (found := load_bundled(start).plan.name) != plan:
        raise ConfigError(f"the bundled model {start!r} is of plan {found}, and not {plan}: start random")


def _run(bench: Bench, order: Order, bar: tqdm[Never]) -> tuple[Run, Vector]:
    started = time.process_time()
    bar.set_description(f"{order.method.title}, seed {order.seed}")
    points = []
    model = start = first_model(order.start, order.plan, order.seed)
    for index, (after, point) in enumerate(bench.train(order.method, order.budget, start, order.seed)):
        model = after
        bar.update(min(index, 1))
        if point is not None:
            points.append(point)
            bar.set_postfix(dice=f"{point.dice:.3f}")
    return Run(order, tuple(points), time.process_time() - started), model
