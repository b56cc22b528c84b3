"""Federated against centralized training on pages of PTB-XL: trace Dice by round on patients held out.

    python -m benchmarks.federation [--paper] [--plan small] [--json] [-o FILE.csv] [--runs FOLDER] [--draw FILE.svg]
    python -m benchmarks.federation --tune | --levers

Four sites (`benchmarks.federation.pages`), FedAvg, FedProx and FedAdam with equal public weights, and centralized
training over the pages of all sites, its momentum kept throughout; every method takes the same total of steps at the
same batch size, with nnU-Net's schedule over the whole run, from the same first model. `--paper` is the protocol of
Nemati 2025 (arXiv 2510.22387): 100 rounds; it trains each site alone, too, with as many steps as in the federation.

Rates are those that did best on validation patients (`--tune` shows how, and `--levers` what else was tried); the
figures are of test patients. Finished runs are kept in FOLDER/runs.jsonl and their models in FOLDER/models: the same
command goes on where it was ended.

PTB-XL is sought in ptbxl/ below the folder that ECG_FLARE_DATA names, else in ../shared/data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from benchmarks.federation.candidates import ALONE_GRID, GRID, LEVERS, PLAN, SITES_ALONE, TUNED
from benchmarks.federation.curves import draw_curves
from benchmarks.federation.kept import check_start, finished
from benchmarks.federation.methods import ALONE, Budget, Method
from benchmarks.federation.pages import SITES, Part, pages_of
from benchmarks.federation.run_folders import write_run
from benchmarks.federation.runs import Bench
from benchmarks.federation.table import (
    Order,
    Run,
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
from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.task.traces.plans import PRESETS

_TUNING_SEED: Final = 100
_PAPER_ROUNDS: Final = 100
_PAPER_EVERY: Final = 10


@click.command(help=__doc__)
@click.option("--paper", is_flag=True, help="100 rounds, measured after every 10, and each site alone, too.")
@click.option("--rounds", default=20, show_default=True, help="Rounds of a run.")
@click.option("--steps", default=10, show_default=True, help="Steps of each site in a round.")
@click.option("--every", default=4, show_default=True, help="Measure after every so many rounds.")
@click.option("--sites-pages", default=24, show_default=True, help="Training pages of a site, at most.")
@click.option("--test-pages", default=5, show_default=True, help="Pages of a site to measure on, at most.")
@click.option("--seeds", default=3, show_default=True, help="Runs of each method.")
@click.option("--first-seed", default=0, show_default=True, help="Begin with this one: for another process.")
@click.option("--methods", default="", help="Which methods, with commas between; all of them otherwise.")
@click.option("--plan", default="tiny", show_default=True, type=click.Choice(PRESETS), help="The network.")
@click.option("--start", default="start", show_default=True, help="First model: a bundled model's name, or 'random'.")
@click.option("--tune", is_flag=True, help="Try the grid of rates on validation patients instead, one seed.")
@click.option("--levers", is_flag=True, help="Try what may close the gap on validation patients instead, one seed.")
@click.option("--synthetic", is_flag=True, help="Pages of synthetic recordings instead of PTB-XL's.")
@click.option("--quick", is_flag=True, help="Synthetic, two rounds of two steps, one seed: to see that it works.")
@click.option("--folder", type=click.Path(path_type=Path), default="build/federation", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Runs as JSON instead of tables.")
@click.option(
    "--runs", type=click.Path(path_type=Path), help="Also write each run as a folder for `ecg-flare compare`."
)
@click.option("--draw", type=click.Path(path_type=Path), help="Also draw the Dice by round, to an .svg file.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write all points, to a .csv or .json file.")
def main(
    paper: bool,
    rounds: int,
    steps: int,
    every: int,
    sites_pages: int,
    test_pages: int,
    seeds: int,
    first_seed: int,
    methods: str,
    plan: str,
    start: str,
    tune: bool,
    levers: bool,
    synthetic: bool,
    quick: bool,
    folder: Path,
    as_json: bool,
    runs: Path | None,
    draw: Path | None,
    output: Path | None,
) -> None:
    limit_threads(1)
    for path, endings, option in ((output, (".csv", ".json"), "-o"), (draw, (".svg",), "--draw")):
        _check_file(path, endings, option)
    if tune and levers:
        raise click.UsageError("--tune and --levers are two tables: ask for one of them.")
    trying = tune or levers
    _check_given(paper=paper, trying=trying)
    try:
        check_start(start, plan)
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--start") from error
    if plan != PLAN:
        say(f"the rates are those of plan {PLAN}: nobody tuned them for {plan}")
    known = (*GRID, *ALONE_GRID) if tune else LEVERS if levers else (*TUNED.values(), *(SITES_ALONE if paper else ()))
    chosen = _chosen(methods, known)
    budget = Budget(_PAPER_ROUNDS, steps, _PAPER_EVERY) if paper else Budget(rounds, steps, every)
    if quick:
        synthetic, budget, sites_pages, test_pages, seeds = True, Budget(2, 2), 1, 1, 1
    part: Part = "val" if trying else "test"
    bench = Bench(
        plan_preset(plan),
        SITES,
        pages_of("train", sites_pages, synthetic),
        pages_of(part, test_pages, synthetic),
        folder / "cache",
        log=say,
    )
    orders = [Order(method, budget, _TUNING_SEED, start, bench.pages_digest, plan) for method in chosen]
    if not trying:
        orders = [one for order in orders for one in reseeded(order, range(first_seed, first_seed + seeds))]
    done = finished(bench, orders, folder)
    if not done:
        raise click.ClickException("every run diverged: there is nothing to tell")
    if output is not None:
        output.write_text(csv_text(done) if output.suffix == ".csv" else json_text(done), encoding="utf-8")
    if runs is not None:
        for run in done:
            say(f"wrote {write_run(run, SITES, runs)}")
    if draw is not None:
        draw.write_text(draw_curves(done), encoding="utf-8")
    click.echo(json_text(done) if as_json else tuning_table(done) if trying else _tables(done))


def _check_file(path: Path | None, endings: Sequence[str], option: str) -> None:
    """Refuse a file that could not be written once the runs are done."""
    if path is None:
        return
    if path.suffix not in endings:
        raise click.BadParameter(f"{path} does not end in {' or '.join(endings)}", param_hint=option)
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", param_hint=option)


def _check_given(*, paper: bool, trying: bool) -> None:
    """Refuse options that the others leave nothing to say."""
    context = click.get_current_context()

    def given(*names: str) -> list[str]:
        default = ParameterSource.DEFAULT
        return [f"--{name.replace('_', '-')}" for name in names if context.get_parameter_source(name) is not default]

    if paper and (options := given("rounds", "every")):
        raise click.UsageError(f"--paper has its own {' and '.join(options)}: leave one of them out.")
    if trying and (options := given("seeds", "first_seed", "runs", "draw")):
        raise click.UsageError(f"{', '.join(options)}: --tune and --levers are a table of one seed.")


def _chosen(names: str, known: Sequence[Method]) -> list[Method]:
    wanted = {name.strip() for name in names.split(",")} if names else {method.name for method in known}
    if unknown := sorted(wanted - {method.name for method in known}):
        raise click.BadParameter(
            f"no method {', '.join(unknown)}: choose of {', '.join(dict.fromkeys(method.name for method in known))}",
            param_hint="--methods",
        )
    return [method for method in known if method.name in wanted]


def _tables(runs: Sequence[Run]) -> str:
    several = any(run.order.method.name != ALONE for run in runs)
    parts = [*([dice_table(runs)] if several else []), site_table(runs)]
    if found := ratios(runs):
        parts.append(ratio_table(found))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
