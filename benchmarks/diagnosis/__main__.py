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

from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import numpy as np

from benchmarks.diagnosis.cases import prepared
from benchmarks.diagnosis.example import Superclasses
from benchmarks.diagnosis.measure import aucs, logits
from benchmarks.diagnosis.pages import read_pages
from benchmarks.diagnosis.runs import BUDGET, METHODS
from benchmarks.diagnosis.table import Run, auc_table, page_table
from benchmarks.learning.bench import PUBLIC, Bench, Vector
from benchmarks.learning.kept import finished, known, model_path, say
from benchmarks.learning.methods import Order, Promise
from benchmarks.real_data import ptbxl_root
from benchmarks.run_lines import RunLines
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.task.modules import plan_of_task
from ecg_flare.task.modules.dataset import PreparedExamples
from ecg_flare.task.modules.plan import ModulePlan

_PAGES_SEED: Final = 0


@click.command(help=__doc__)
@click.option("--rounds", default=BUDGET.rounds, show_default=True)
@click.option("--steps", default=BUDGET.steps, show_default=True, help="Of each site in a round.")
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
    cases = prepared(plan, root, folder.resolve() / "cache", public, say)
    bench = Bench(plan, {**cases.train, PUBLIC: cases.public}, replace(BUDGET, rounds=rounds, steps=steps))
    file = RunLines(folder / "runs.jsonl", Run.from_json)
    wanted = methods.split(",")
    orders = [Order(METHODS[name], bench.budget, seed, plan.hash) for seed in range(seeds) for name in wanted]

    def measured(order: Order, model: Vector, promise: Promise, cpu_s: float) -> Run:
        return Run(order, _areas(cases.held_out, plan, model), promise, cpu_s)

    runs = known(file, orders) if told else finished(bench, orders, file, folder, measured)
    click.echo(auc_table(runs))
    if pages:
        names = [entry.name for entry in cases.held_out.entries[:pages]]
        read = read_pages(root, names, folder / "pages", _PAGES_SEED)
        models = {run.order: np.load(model_path(folder, run.order)) for run in runs}
        click.echo(f"\n{page_table(plan, cases.held_out, read, models)}")


def _areas(held_out: PreparedExamples, plan: ModulePlan, model: Vector) -> tuple[float, ...]:
    names = [entry.name for entry in held_out.entries]
    scores = logits(plan, model, held_out.inputs(names))
    return tuple(aucs(scores, held_out.targets(names)))


if __name__ == "__main__":
    main()
