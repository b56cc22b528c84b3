"""What patient-level privacy costs in Dice on pages of PTB-XL, beside the public start and training without noise.

    python -m benchmarks.private_learning [--told] [--pages N] [--wider] [--tune] [--quick] [--json]

Four sites (`benchmarks.federation.pages`), each patient a unit; the released model is measured on windows of pages of
patients held out, as large as those trained on. Rates were chosen on validation patients (`--tune` measures on those).
Finished runs are kept in FOLDER/runs.jsonl: the same command goes on where it was ended.

PTB-XL is sought in ptbxl/ below the folder that ECG_FLARE_DATA names, else in ../shared/data.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Final

import click
import numpy as np
from tqdm import tqdm

from benchmarks.federation.pages import SITES, Part, ptbxl_pages, synthetic_pages
from benchmarks.markdown import row
from benchmarks.private_learning.patients import Patient, draw_patients
from benchmarks.private_learning.recipes import (
    ABLATION,
    COSTLY,
    LOOSER,
    MAIN,
    PLAIN,
    PROJECTION,
    REFERENCE,
    START,
    WIDER,
)
from benchmarks.private_learning.runs import Bench
from benchmarks.private_learning.table import Order, Run, RunFile, dice_table, json_text, site_table
from benchmarks.real_data import ptbxl_root
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.settings import PrepareSettings
from ecg_flare.task.traces.evaluate import evaluate_pages
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.page_case import PageCase
from ecg_flare.task.traces.predictor import NetworkSegmenter

_PLAN = "tiny"
_START = "start"
_ALL_PAGES = 100_000
_SEEDS: Final[dict[Part, int]] = {"train": 0, "val": 1, "test": 2}


@click.command(help=__doc__)
@click.option(
    "--seeds", default=2, show_default=True, help="Runs of each recipe of the main table; the others have one."
)
@click.option("--windows", default=1, show_default=True, help="Windows of each training page.")
@click.option("--window-px", default=256, show_default=True, help="Height and width of a window.")
@click.option("--test-windows", default=3, show_default=True, help="Windows of each page to measure on.")
@click.option("--on-a-trace", default=0.0, show_default=True, help="Chance that a window is centred on a trace.")
@click.option("--told", is_flag=True, help="Tell the runs that FOLDER has, and train none.")
@click.option(
    "--pages", default=0, metavar="N", help="With --told: measure the released models on N whole pages a site, too."
)
@click.option("--wider", is_flag=True, help="Run what was tried for whole pages instead, one seed.")
@click.option("--tune", is_flag=True, help="Measure on validation patients instead; train one seed.")
@click.option("--quick", is_flag=True, help="Synthetic pages, two rounds, few recipes: to see that it works.")
@click.option("--folder", type=click.Path(path_type=Path), default="build/private_learning", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Runs as JSON instead of tables.")
def main(
    seeds: int,
    windows: int,
    window_px: int,
    test_windows: int,
    on_a_trace: float,
    told: bool,
    pages: int,
    wider: bool,
    tune: bool,
    quick: bool,
    folder: Path,
    as_json: bool,
) -> None:
    if pages and (as_json or not told):
        raise click.UsageError("--pages goes with --told, and without --json.")
    file = RunFile(folder / "runs.jsonl")
    limit_threads(1)
    part: Part = "val" if tune else "test"
    if told:
        runs = list(file.runs().values())
        click.echo(_text(runs, as_json))
        if pages:
            cases = {
                site: _first_pages(_prepared(part, site, _ALL_PAGES, quick, folder / "cache"), pages) for site in SITES
            }
            click.echo(f"\n{_whole_pages(runs, file, cases)}")
        return
    plan = plan_preset(_PLAN)

    def drawn(which: Part, pages: int, count: int) -> list[Patient]:
        cases = {site: prepared_pages(_prepared(which, site, pages, quick, folder / "cache")) for site in SITES}
        size = (window_px, window_px)
        return draw_patients(cases, windows=count, window_px=size, on_a_trace=on_a_trace, seed=_SEEDS[which])

    bench = Bench(
        plan,
        load_bundled(_START).vector,
        drawn("train", 2 if quick else _ALL_PAGES, windows),
        drawn(part, 1 if quick else _ALL_PAGES, test_windows),
    )
    orders = _orders(bench.digest, seeds, once=tune, quick=quick)
    if wider:
        orders = [Order(recipe, 0, bench.digest) for recipe in (START, PLAIN, *WIDER)]
    click.echo(_text(finished(bench, orders, file), as_json))


def _text(runs: Sequence[Run], as_json: bool) -> str:
    return json_text(runs) if as_json else f"{dice_table(runs, REFERENCE)}\n\n{site_table(runs)}"


def _first_pages(dataset: PreparedDataset, patients: int) -> list[PageCase]:
    """A page each of the first patients."""
    firsts: dict[str, PageCase] = {}
    for case in prepared_pages(dataset):
        firsts.setdefault(case.patient_id, case)
        if len(firsts) == patients:
            break
    return list(firsts.values())


def _whole_pages(runs: Sequence[Run], file: RunFile, cases: Mapping[str, list[PageCase]]) -> str:
    """Dice of the released models as they are used: whole pages in one pass, whose statistics are not a window's.

    The mean over the seeds of each recipe.
    """
    by_name: dict[str, list[list[float]]] = {}
    for run in runs:
        segmenter = NetworkSegmenter(plan_preset(_PLAN), np.load(file.model_path(run.order)))
        dice = [evaluate_pages(segmenter, some).mean_dice for some in cases.values()]
        by_name.setdefault(run.name, []).append([*dice, fmean(dice)])
    lines = [row("", *cases, "all", "seeds"), row(*["---"] * (len(cases) + 3))]
    for name, seeds in by_name.items():
        lines.append(row(name, *(f"{one:.3f}" for one in np.mean(seeds, axis=0)), f"{len(seeds)}"))
    return "\n".join(lines)


def finished(bench: Bench, orders: Sequence[Order], file: RunFile) -> list[Run]:
    """The run of each order, from the file where it is there, trained and appended to the file where it isn't."""
    kept = file.runs()
    missing = [order for order in orders if order.key not in kept]
    with tqdm(
        total=sum(order.recipe.rounds for order in missing), unit="round", disable=not sys.stderr.isatty()
    ) as bar:
        for order in missing:
            started = time.process_time()
            bar.set_description(f"{order.recipe.name}, seed {order.seed}")
            model = bench.train(order.recipe, order.seed, on_round=lambda done: bar.update())
            run = Run(order, bench.measure(order.recipe, model), time.process_time() - started)
            np.save(file.model_path(order), model)
            file.append(run)
            kept[order.key] = run
            tqdm.write(
                f"{order.recipe.name}, seed {order.seed}: Dice {run.outcome.dice:.4f}, {run.cpu_s:.0f} CPU s",
                file=sys.stderr,
            )
    return [kept[order.key] for order in orders]


def _orders(data: str, seeds: int, *, once: bool, quick: bool) -> list[Order]:
    """Seed by seed, and what takes long last, so that an early end leaves a table."""
    if quick:
        return [Order(replace(recipe, rounds=min(recipe.rounds, 2)), 0, data) for recipe in MAIN]
    first = [Order(recipe, 0, data) for recipe in MAIN]
    others = [Order(recipe, seed, data) for seed in range(1, 1 if once else seeds) for recipe in (*MAIN, LOOSER)]
    levers, costly = ([Order(recipe, 0, data) for recipe in some] for some in ((*PROJECTION, *ABLATION), COSTLY))
    return [*first, *levers, *others, *costly]


def _prepared(part: Part, site: str, limit: int, synthetic: bool, cache: Path) -> PreparedDataset:
    return prepare(
        _source(part, limit, synthetic),
        site,
        plan_preset(_PLAN),
        cache,
        PrepareSettings(validation_fraction=0, min_patients=1, preprocess=False),
        log=lambda message: tqdm.write(message, file=sys.stderr),
    )


def _source(part: Part, limit: int, synthetic: bool) -> CaseSource:
    if synthetic:
        return synthetic_pages(part, limit)
    return ptbxl_pages(ptbxl_root(otherwise="--quick"), part, limit)


if __name__ == "__main__":
    main()
