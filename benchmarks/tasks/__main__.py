"""The hippocampus in MRI, over four sites: Dice by label of local, federated and centralized training.

    python -m benchmarks.tasks [--rounds N] [--steps N] [--seeds N] [--methods fedavg,centralized]

A small 3d_fullres network (the preset small_3d), from nnU-Net's initialization. Every federated site and every site
alone takes the same number of steps; centralized training takes those of all sites together. Dice is over the voxels
of all held-out cases. site-4 holds the scans of another intensity scale.

The cases are sought in hippocampus/ below the folder that ECG_FLARE_DATA names, else in ../shared/data.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click

from benchmarks.markdown import row
from benchmarks.real_data import data_root
from benchmarks.tasks.runs import METHODS, Bench, Budget, Measured, mean
from benchmarks.tasks.sites import SITES
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.task.datasets.plans import preset_plan

_HEAD: Final = ("method", "seed", "anterior", "posterior", "mean", *(f"mean at {site}" for site in SITES), "seconds")


@click.command(help=__doc__)
@click.option("--rounds", default=4, show_default=True)
@click.option("--steps", default=12, show_default=True, help="Of each site in a round.")
@click.option("--learning-rate", default=0.1, show_default=True)
@click.option("--momentum", default=0.9, show_default=True)
@click.option("--seeds", default=1, show_default=True)
@click.option("--methods", default=",".join(METHODS), show_default=True)
@click.option("--test-cases", default=3, show_default=True, help="Of a site, at most.")
@click.option("--cache", type=click.Path(path_type=Path), default="build/tasks", show_default=True)
def main(
    rounds: int,
    steps: int,
    learning_rate: float,
    momentum: float,
    seeds: int,
    methods: str,
    test_cases: int,
    cache: Path,
) -> None:
    limit_threads(1)
    folder = data_root() / "hippocampus"
    if not folder.is_dir():
        raise click.ClickException(f"the cases are not at {folder}: set ECG_FLARE_DATA to the folder above")
    plan = preset_plan("small_3d", folder / "dataset.json", spacing=(1, 1, 1), trainer="nnUNetTrainer")
    bench = Bench(plan, folder, cache.resolve(), test_cases=test_cases, log=lambda line: click.echo(line, err=True))
    budget = Budget(rounds, steps, learning_rate, momentum)
    click.echo(row(*_HEAD))
    click.echo(row(*("---" for _ in _HEAD)))
    for seed in range(seeds):
        for method in methods.split(","):
            started = time.monotonic()
            for name, measured in bench.run(method, budget, seed).items():
                click.echo(_line(f"{method} {name}".strip(), seed, measured, time.monotonic() - started))


def _line(name: str, seed: int, measured: Measured, seconds: float) -> str:
    overall = [f"{value:.3f}" for value in (*measured.overall, mean(measured.overall))]
    sites = [f"{mean(measured.by_site[site]):.3f}" for site in SITES]
    return row(name, str(seed), *overall, *sites, f"{seconds:.0f}")


if __name__ == "__main__":
    main()
