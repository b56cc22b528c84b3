"""The hippocampus in MRI, over four sites: Dice by label of local, federated, secure, private and centralized training.

    python -m benchmarks.tasks [--rounds N] [--steps N] [--seeds N] [--methods fedavg,centralized] [--told]

A small 3d_fullres network (the preset small_3d), from nnU-Net's initialization, by default without mirroring. Every
federated site and every site alone takes the same number of steps; centralized training takes those of all sites
together. A private run starts from a model that was trained on six public cases, which no site has. Dice is over the
voxels of all held-out cases. site-4 holds the scans of another intensity scale. Finished runs are kept in FOLDER: the
same command goes on where it was ended.

The cases are sought in hippocampus/ below the folder that ECG_FLARE_DATA names, else in ../shared/data.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import click

from benchmarks.learning.bench import POOL, PUBLIC, Bench, Vector
from benchmarks.learning.kept import finished, known, say
from benchmarks.learning.methods import Order, Promise
from benchmarks.run_lines import RunLines
from benchmarks.tasks.runs import BUDGET, Run, dice_table, measured, methods
from benchmarks.tasks.sites import SITES, TableSites, hippocampus
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING
from ecg_flare.task.datasets.plans import preset_plan

TRAINERS: Final = ("nnUNetTrainerNoMirroring", "nnUNetTrainer")
"""nnU-Net's. The front of a hippocampus looks much like the back of its mirror image, and has another label."""


@click.command(help=__doc__)
@click.option("--rounds", default=BUDGET.rounds, show_default=True)
@click.option("--steps", default=BUDGET.steps, show_default=True, help="Of each site in a round.")
@click.option("--learning-rate", default=BUDGET.learning_rate, show_default=True)
@click.option("--seeds", default=1, show_default=True)
@click.option("--trainer", type=click.Choice(TRAINERS), default=TRAINERS[0], show_default=True)
@click.option("--methods", "names", default="", help="Their names, with commas; all of them by default.")
@click.option("--told", is_flag=True, help="Train nothing; tell what FOLDER has.")
@click.option("--folder", type=click.Path(path_type=Path), default="build/tasks", show_default=True)
def main(
    rounds: int, steps: int, learning_rate: float, seeds: int, trainer: str, names: str, told: bool, folder: Path
) -> None:
    limit_threads(1)
    root = hippocampus()
    plan = preset_plan("small_3d", root / "dataset.json", spacing=(1, 1, 1), trainer=trainer)
    offered = methods(plan)
    wanted = names.split(",") if names else list(offered)
    if unknown := sorted(set(wanted) - set(offered)):
        raise click.UsageError(f"--methods has {unknown[0]!r}: choose among {', '.join(offered)}.")
    ready = partial(prepare, plan=plan, cache=folder.resolve() / "cache", settings=ALL_FOR_TRAINING, log=say)
    train = {who: ready(TableSites(str(root), "train"), who) for who in (*SITES, POOL)}
    train[PUBLIC] = ready(TableSites(str(root), "public"), POOL)
    held_out = {site: ready(TableSites(str(root), "test"), site) for site in SITES}
    bench = Bench(plan, train, replace(BUDGET, rounds=rounds, steps=steps, learning_rate=learning_rate))
    orders = [Order(offered[name], bench.budget, seed, plan.hash) for seed in range(seeds) for name in wanted]

    def run_of(order: Order, model: Vector, promise: Promise, cpu_s: float) -> Run:
        by_site = measured(plan, held_out, model)
        overall = by_site.pop("")
        return Run(order, by_site, overall, promise, cpu_s)

    file = RunLines(folder / "runs.jsonl", Run.from_json)
    runs = known(file, orders) if told else finished(bench, orders, file, folder, run_of)
    click.echo(dice_table(runs, ("anterior", "posterior")))


if __name__ == "__main__":
    main()
