"""The five diagnostic superclasses of PTB-XL from recordings, by the network of custom/diagnosis: area under the curve.

    python -m benchmarks.diagnosis [--seeds N] [--methods fedavg,secure] [--pages N] [--told]

    python -m benchmarks.diagnosis --methods fedavg,centralized     # two methods, about five minutes
    python -m benchmarks.diagnosis --told --pages 160               # what pages cost the models that there are

Three sites (PTB-XL's sites 0, 1, and 2 with 3) train on folds 1 to 6; all is measured on folds 7 to 9. Every site takes
the same number of steps in a round, centralized training those of all sites. A private run starts from a network that
was trained on synthetic recordings. Finished runs are kept in FOLDER: the same command goes on where it was ended, and
so does the reading of pages.

PTB-XL is sought in ptbxl/ below the folder that ECG_FLARE_DATA names, else in ../shared/data.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import numpy as np
from tqdm import tqdm

from benchmarks.diagnosis.cases import Cases, prepared
from benchmarks.diagnosis.example import Superclasses
from benchmarks.diagnosis.measure import aucs, logits
from benchmarks.diagnosis.pages import read_pages
from benchmarks.diagnosis.runs import METHODS, Bench, Budget
from benchmarks.diagnosis.table import Order, Run, auc_table, page_table
from benchmarks.real_data import ptbxl_root
from benchmarks.run_lines import RunLines
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.task.modules import plan_of_task

_PAGES_SEED: Final = 0


@click.command(help=__doc__)
@click.option("--rounds", default=Budget.rounds, show_default=True)
@click.option("--steps", default=Budget.steps, show_default=True, help="Of each site in a round.")
@click.option("--seeds", default=1, show_default=True)
@click.option("--methods", default=",".join(METHODS), show_default=True)
@click.option("--public", default=440, show_default=True, help="Synthetic recordings of the public start.")
@click.option("--pages", default=0, metavar="N", help="Read N held-out pages, and measure on what was read.")
@click.option("--told", is_flag=True, help="Train nothing; tell what FOLDER has.")
@click.option("--folder", type=click.Path(path_type=Path), default="build/diagnosis", show_default=True)
def main(rounds: int, steps: int, seeds: int, methods: str, public: int, pages: int, told: bool, folder: Path) -> None:
    limit_threads(1)
    if unknown := sorted(set(methods.split(",")) - set(METHODS)):
        raise click.UsageError(f"--methods has {unknown[0]!r}: choose among {', '.join(METHODS)}.")
    root = ptbxl_root(otherwise="nothing: there is no other data")
    plan = plan_of_task(Superclasses())
    cases = prepared(plan, root, folder.resolve() / "cache", public, _say)
    bench = Bench(plan, cases, replace(Budget(), rounds=rounds, steps=steps))
    file = RunLines(folder / "runs.jsonl", Run.from_json)
    orders = [Order(METHODS[name], bench.budget, seed) for seed in range(seeds) for name in methods.split(",")]
    runs = _kept(file, orders) if told else _finished(bench, orders, file, folder)
    click.echo(auc_table(runs))
    if pages:
        names = [entry.name for entry in cases.held_out.entries[:pages]]
        read = read_pages(root, names, folder / "pages", _PAGES_SEED)
        models = {run.order: np.load(_model_path(folder, run.order)) for run in runs}
        click.echo(f"\n{page_table(plan, cases.held_out, read, models)}")


def _finished(bench: Bench, orders: Sequence[Order], file: RunLines[Run], folder: Path) -> list[Run]:
    """The run of each order: kept, or trained now."""
    kept = file.runs()
    for run in kept.values():
        if not run.order.method.trains and run.order.budget == bench.budget:
            bench.public[run.order.seed] = np.load(_model_path(folder, run.order))
    missing = [order for order in orders if order.key not in kept]
    total = sum(order.budget.rounds for order in missing)
    with tqdm(total=total, unit="round", disable=not sys.stderr.isatty()) as bar:
        for order in missing:
            started = time.process_time()
            bar.set_description(f"{order.method.name}, seed {order.seed}")
            model, promise = bench.run(order.method, order.seed, bar.update)
            run = Run(order, _measured(bench.cases, bench, model), promise, time.process_time() - started)
            np.save(_model_path(folder, order), model)
            file.append(run)
            kept[order.key] = run
            _say(f"{order.method.name}, seed {order.seed}: {run.macro:.3f}, {run.cpu_s:.0f} CPU s")
    return [kept[order.key] for order in orders]


def _kept(file: RunLines[Run], orders: Sequence[Order]) -> list[Run]:
    runs = file.runs()
    found = [runs[order.key] for order in orders if order.key in runs]
    if not found:
        raise click.ClickException("no such run is kept: leave out --told")
    return found


def _measured(cases: Cases, bench: Bench, model: np.ndarray) -> tuple[float, ...]:
    names = [entry.name for entry in cases.held_out.entries]
    scores = logits(bench.plan, model, cases.held_out.inputs(names))
    return tuple(aucs(scores, cases.held_out.targets(names)))


def _model_path(folder: Path, order: Order) -> Path:
    return folder / f"{order.key[:24]}.npy"


def _say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


if __name__ == "__main__":
    main()
