"""A federated model made each site's own: mean and worst site's Dice beside the global model's.

    python -m benchmarks.federation.personal [--seeds 2] [--rounds 20] [--steps 10] [--quick]

The sites and pages are those of `benchmarks.federation`, but a fifth of each site's patients is held out of all
training, as in a job. The global model is trained by FedAdam. Then each site makes it its own on its training pages, as
`ecg-flare site personalize` does, at a rate of 0.02: all tensors, with Ditto's pull towards the global model, the norm
layers alone, the head alone; the held-out pages choose the point between both models. `local norm` is a federation of
its own, whose sites keep their norm layers (`jobs export --local '*.norm.*'`). Dice is of test patients, whom nobody
has. Finished runs are kept in FOLDER/runs.jsonl.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import click

from benchmarks.federation.candidates import PLAN, TUNED
from benchmarks.federation.methods import Budget, Method, Upload
from benchmarks.federation.pages import SITES, pages_of
from benchmarks.federation.runs import Bench
from benchmarks.learning.kept import say
from benchmarks.markdown import mean_and_spread, row
from benchmarks.run_lines import Determined, RunLines, grouped
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.personal import part_patterns, personalize
from ecg_flare.nnunet.settings import DEFAULT_SETTINGS
from ecg_flare.nnunet.trainer import TrainOptions

GLOBAL: Final = "global model"
LOCAL_NORM: Final = "local norm"
TUNINGS: Final = MappingProxyType(
    {"all tensors": ("all", 0.0), "all tensors, mu 1": ("all", 1.0), "norm": ("norm", 0.0), "head": ("head", 0.0)}
)
"""Name -> the part that is a site's own, and the pull towards the global model."""

_OWN_RATE: Final = 0.02


@dataclass(frozen=True)
class Order(Determined):
    """What determines a run: the federation, its budget, steps of a site's own training, the seed and the pages."""

    method: Method
    budget: Budget
    own_steps: int
    seed: int
    pages: str


@dataclass(frozen=True)
class Run:
    """A finished federation and what its sites made of its model.

    Attributes:
        key: digest of its order.
        seed: of it.
        dice: way -> site -> Dice of that site's model on its own test pages.
        share: way -> site -> how far it went from the global model to its own.
        cpu_s: of all of it.
    """

    key: str
    seed: int
    dice: Mapping[str, Mapping[str, float]]
    share: Mapping[str, Mapping[str, float]]
    cpu_s: float

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Run:
        """Read a kept run."""
        return cls(**line)


@click.command(help=__doc__)
@click.option("--rounds", default=20, show_default=True, help="Of a run.")
@click.option("--steps", default=10, show_default=True, help="Of each site in a round.")
@click.option("--own-steps", default=100, show_default=True, help="Of a site's own training afterwards.")
@click.option("--seeds", default=2, show_default=True, help="Runs of each.")
@click.option("--synthetic", is_flag=True, help="Pages of synthetic recordings instead of PTB-XL's.")
@click.option("--quick", is_flag=True, help="Synthetic, two rounds of one step, one seed: to see that it works.")
@click.option("--folder", type=click.Path(path_type=Path), default="build/personal", show_default=True)
def main(rounds: int, steps: int, own_steps: int, seeds: int, synthetic: bool, quick: bool, folder: Path) -> None:
    limit_threads(1)
    pages, measured = 24, 5
    if quick:
        synthetic, rounds, steps, own_steps, seeds, pages, measured = True, 2, 1, 1, 1, 3, 1
    train, test = pages_of("train", pages, synthetic), pages_of("test", measured, synthetic)
    cache = folder / "cache"
    bench = Bench(plan_preset(PLAN), SITES, train, test, cache, settings=DEFAULT_SETTINGS, log=say)
    budget, file = Budget(rounds, steps, every=rounds), RunLines(folder / "runs.jsonl", Run.from_json)
    sent = Upload(local=part_patterns(bench.plan, "norm"))
    methods = (TUNED["fedadam"], replace(TUNED["fedadam"], upload=sent))
    orders = [Order(method, budget, own_steps, seed, bench.pages_digest) for seed in range(seeds) for method in methods]
    runs = file.runs()
    for order in orders:
        if order.key not in runs:
            runs[order.key] = run = _run(bench, order, train, cache)
            file.append(run)
            for way, dice in run.dice.items():
                say(f"{way}, seed {run.seed}: {statistics.fmean(dice.values()):.4f} ({run.cpu_s:.0f} CPU s)")
    click.echo(table([runs[order.key] for order in orders]))


def _run(bench: Bench, order: Order, pages: CaseSource, cache: Path) -> Run:
    started = time.process_time()
    start = load_bundled("start").vector
    *_, model = bench.models(order.method, order.budget, start, order.seed)
    if order.method.upload.local:
        sent = order.method.upload.sent(bench.plan)
        own = {site: sent.put(bench.own[site], sent.take(model)) for site in bench.sites}
        dice = {LOCAL_NORM: {site: bench.measure_site(own[site], site) for site in bench.sites}}
        return Run(order.key, order.seed, dice, {}, time.process_time() - started)
    dice = {GLOBAL: {site: bench.measure_site(model, site) for site in bench.sites}}
    share: dict[str, dict[str, float]] = {}
    for way, (part, mu) in TUNINGS.items():
        patterns = part_patterns(bench.plan, part)
        options = TrainOptions(order.own_steps, _OWN_RATE, "poly", mu, momentum=0.9, seed=order.seed, trained=patterns)
        made = {
            site: personalize(SiteCases(pages, site, bench.plan, cache), model, options, log=say)
            for site in bench.sites
        }
        dice[way] = {site: bench.measure_site(one.vector, site) for site, one in made.items()}
        share[way] = {site: one.share for site, one in made.items()}
    return Run(order.key, order.seed, dice, share, time.process_time() - started)


def table(runs: Sequence[Run]) -> str:
    """Dice by way as Markdown: mean over sites and the worst site, each with its spread over seeds, and each site's."""
    head = ("", "mean of sites", "worst site", "less global", *SITES, "seeds")
    lines = [row(*head), row(*["---"] * len(head))]
    ways = grouped([pair for run in runs for pair in run.dice.items()], itemgetter(0))
    reference = statistics.fmean(value for _, dice in ways[GLOBAL] for value in dice.values())
    for way, pairs in ways.items():
        some = [dice for _, dice in pairs]
        means = [statistics.fmean(dice.values()) for dice in some]
        sites = [f"{statistics.fmean(dice[site] for dice in some):.3f}" for site in SITES]
        worst = mean_and_spread([min(dice.values()) for dice in some])
        change = f"{statistics.fmean(means) - reference:+.4f}"
        lines.append(row(way, mean_and_spread(means), worst, change, *sites, len(some)))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
