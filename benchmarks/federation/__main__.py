"""Federated against centralized training on pages of PTB-XL: trace Dice by round on patients held out.

    python -m benchmarks.federation [--tune] [--quick] [--json] [-o FILE.csv] [--runs FOLDER]

Four sites (`benchmarks.federation.pages`), FedAvg, FedProx and FedAdam with equal public weights, and centralized
training over the pages of all sites; every method takes the same total of steps at the same batch size, with nnU-Net's
schedule over the whole run, from the same first model. Rates are those that did best on validation patients (`--tune`
shows how); the figures are of test patients. Finished runs are kept in FOLDER/runs.jsonl: the same command goes on
where it was ended.

PTB-XL is sought in ptbxl/ below the folder that ECG_FLARE_DATA names, else in ../shared/data.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Never

import click
from tqdm import tqdm

from benchmarks.federation.pages import SITES, Part, pages_of
from benchmarks.federation.run_folders import write_run
from benchmarks.federation.runs import CENTRALIZED, Bench, Budget, Method, Vector
from benchmarks.federation.table import (
    Order,
    Run,
    RunFile,
    csv_text,
    dice_table,
    json_text,
    ratio_table,
    ratios,
    reseeded,
    site_table,
    tuning_table,
)
from benchmarks.learning.kept import say
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector

TUNED: Final = MappingProxyType(
    {
        method.name: method
        for method in (
            Method(CENTRALIZED, 0.4),
            Method("fedavg", 0.4, server_rate=1.5),
            Method("fedprox", 0.4, server_rate=1.5, proximal_mu=0.01),
            Method("fedadam", 0.4, server_rate=0.02),
        )
    }
)
"""Each method with the rates that did best on validation patients."""

GRID: Final = (
    *(Method(CENTRALIZED, rate) for rate in (0.2, 0.4, 0.8)),
    *(Method("fedavg", rate, server_rate=server) for rate, server in ((0.2, 1.5), (0.4, 1.0), (0.4, 1.5), (0.8, 1.0))),
    *(Method("fedprox", 0.4, server_rate=1.5, proximal_mu=mu) for mu in (0.001, 0.01)),
    *(Method("fedavgm", rate, server_rate=server) for rate, server in ((0.4, 0.3), (0.4, 0.7), (0.2, 0.7))),
    *(Method("fedadam", rate, server_rate=server) for rate, server in ((0.4, 0.01), (0.4, 0.02), (0.8, 0.01))),
)
"""What `--tune` tries."""

PLAN: Final = "tiny"
_TUNING_SEED: Final = 100


@click.command(help=__doc__)
@click.option("--rounds", default=20, show_default=True, help="Rounds of a run.")
@click.option("--steps", default=10, show_default=True, help="Steps of each site in a round.")
@click.option("--every", default=4, show_default=True, help="Measure after every so many rounds.")
@click.option("--sites-pages", default=24, show_default=True, help="Training pages of a site, at most.")
@click.option("--test-pages", default=5, show_default=True, help="Pages of a site to measure on, at most.")
@click.option("--seeds", default=3, show_default=True, help="Runs of each method.")
@click.option("--methods", default=",".join(TUNED), show_default=True, help="Which methods, with commas between.")
@click.option("--start", default="start", show_default=True, help="First model: a bundled model's name, or 'random'.")
@click.option("--tune", is_flag=True, help="Try the grid of rates on validation patients instead, one seed.")
@click.option("--synthetic", is_flag=True, help="Pages of synthetic recordings instead of PTB-XL's.")
@click.option("--quick", is_flag=True, help="Synthetic, two rounds of two steps, one seed: to see that it works.")
@click.option("--folder", type=click.Path(path_type=Path), default="build/federation", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Runs as JSON instead of tables.")
@click.option(
    "--runs", type=click.Path(path_type=Path), help="Also write each run as a folder for `ecg-flare compare`."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write all points, to a .csv or .json file.")
def main(
    rounds: int,
    steps: int,
    every: int,
    sites_pages: int,
    test_pages: int,
    seeds: int,
    methods: str,
    start: str,
    tune: bool,
    synthetic: bool,
    quick: bool,
    folder: Path,
    as_json: bool,
    runs: Path | None,
    output: Path | None,
) -> None:
    limit_threads(1)
    if output is not None and output.suffix not in (".csv", ".json"):
        raise click.BadParameter(f"{output} ends neither in .csv nor in .json", param_hint="-o")
    chosen = _chosen(methods, GRID if tune else tuple(TUNED.values()))
    budget = Budget(rounds, steps, every)
    if quick:
        synthetic, budget, sites_pages, test_pages, seeds = True, Budget(2, 2), 1, 1, 1
    part: Part = "val" if tune else "test"
    bench = Bench(
        plan_preset(PLAN),
        SITES,
        pages_of("train", sites_pages, synthetic),
        pages_of(part, test_pages, synthetic),
        folder / "cache",
        log=say,
    )
    orders = [Order(method, budget, _TUNING_SEED, start, bench.pages_digest) for method in chosen]
    if not tune:
        # Seed by seed, so that an early end leaves all methods with as many runs.
        orders = [one for seed in range(seeds) for order in orders for one in reseeded(order, [seed])]
    done = finished(bench, orders, RunFile(folder / "runs.jsonl"))
    if output is not None:
        output.write_text(csv_text(done) if output.suffix == ".csv" else json_text(done), encoding="utf-8")
    if runs is not None:
        for run in done:
            say(f"wrote {write_run(run, SITES, PLAN, runs)}")
    click.echo(json_text(done) if as_json else tuning_table(done) if tune else _tables(done))


def finished(bench: Bench, orders: Sequence[Order], file: RunFile) -> list[Run]:
    """The run of each order, from the file where it is there, trained and appended to the file where it isn't."""
    kept = file.runs()
    missing = [order for order in orders if order.key not in kept]
    total = sum(order.budget.rounds for order in missing)
    with tqdm(total=total, unit="round", disable=not sys.stderr.isatty()) as bar:
        for order in _seed_by_seed(missing):
            run = _run(bench, order, bar)
            file.append(run)
            kept[order.key] = run
            say(f"{order.method.label}, seed {order.seed}: Dice {run.last.dice:.4f}, {run.cpu_s:.0f} CPU s")
    return [kept[order.key] for order in orders]


def _run(bench: Bench, order: Order, bar: tqdm[Never]) -> Run:
    started = time.process_time()
    bar.set_description(f"{order.method.name}, seed {order.seed}")
    points = []
    for index, point in enumerate(bench.train(order.method, order.budget, _first_model(order), order.seed)):
        bar.update(min(index, 1))
        if point is not None:
            points.append(point)
            bar.set_postfix(dice=f"{point.dice:.3f}")
    return Run(order, tuple(points), time.process_time() - started)


def _seed_by_seed(orders: Sequence[Order]) -> Iterator[Order]:
    # A benchmark that is ended early then has whole seeds, rather than whole methods.
    yield from sorted(orders, key=lambda order: order.seed)


def _first_model(order: Order) -> Vector:
    if order.start == "random":
        return initial_vector(plan_preset(PLAN), order.seed)
    return load_bundled(order.start).vector


def _chosen(names: str, known: Sequence[Method]) -> list[Method]:
    wanted = [name.strip() for name in names.split(",")]
    if unknown := sorted(set(wanted) - {method.name for method in known}):
        raise click.BadParameter(
            f"no method {', '.join(unknown)}: choose of {', '.join(TUNED)}", param_hint="--methods"
        )
    return [method for method in known if method.name in wanted]


def _tables(runs: Sequence[Run]) -> str:
    parts = [dice_table(runs), site_table(runs)]
    if found := ratios(runs):
        parts.append(ratio_table(found))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
