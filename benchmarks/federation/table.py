"""Finished runs: kept as JSON lines, told as tables by round."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.federation.candidates import PLAN
from benchmarks.federation.methods import ALONE, CENTRALIZED, Budget, Method, Upload
from benchmarks.federation.runs import Point
from benchmarks.markdown import mean_and_spread, row
from benchmarks.run_lines import Determined, RunLines, grouped

PAPER_RATIO: Final = 0.997
"""FedAdam over centralized of Nemati 2025 (arXiv 2510.22387): 0.935 / 0.938."""


@dataclass(frozen=True)
class Order(Determined):
    """What determines a run's result: method, length, seed, the first model, a digest of all pages, and the plan."""

    method: Method
    budget: Budget
    seed: int
    start: str
    pages: str
    plan: str


@dataclass(frozen=True)
class Run:
    """A finished run: its points by round, and the CPU seconds of its training and measuring."""

    order: Order
    points: tuple[Point, ...]
    cpu_s: float

    @property
    def key(self) -> str:
        """The key of its order."""
        return self.order.key

    @property
    def name(self) -> str:
        """The method's title."""
        return self.order.method.title

    @property
    def last(self) -> Point:
        """The point after the last round."""
        return self.points[-1]


class RunFile(RunLines[Run]):
    """The finished runs."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, run_from_json)


def run_from_json(document: dict[str, Any]) -> Run:
    """The run that `asdict` and JSON made a document of."""
    order = {"plan": PLAN, **document["order"]}
    return Run(
        Order(**{**order, "method": _method(order["method"]), "budget": Budget(**order["budget"])}),
        tuple(Point(**point) for point in document["points"]),
        document["cpu_s"],
    )


def _method(document: dict[str, Any]) -> Method:
    upload = document["upload"]
    patterns = {name: tuple(upload.get(name, ())) for name in ("trained", "local")}
    return Method(**{**document, "upload": Upload(**{**upload, **patterns})})


def by_method(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by their method's name, in order of appearance."""
    return grouped(runs, lambda run: run.name)


def dice_table(runs: Sequence[Run]) -> str:
    """Dice by round, and by the gradient steps of all, as Markdown: mean and standard deviation over seeds.

    Sites alone are left out: they take other steps.
    """
    methods = by_method(run for run in runs if run.order.method.name != ALONE)
    points, steps = runs[0].points, runs[0].order.budget.steps * len(runs[0].last.by_site)
    lines = [row("round", "steps of all", *methods), row(*["---"] * (2 + len(methods)))]
    for index, point in enumerate(points):
        dice = (mean_and_spread([run.points[index].dice for run in one]) for one in methods.values())
        lines.append(row(point.round, f"{point.round * steps:,}", *dice))
    return "\n".join(lines)


def site_table(runs: Sequence[Run]) -> str:
    """Dice after the last round on each site's pages as Markdown, mean and spread over seeds; names the worst site."""
    sites = list(runs[0].last.by_site)
    lines = [row("trained", *sites, "mean of sites", "worst"), row(*["---"] * (3 + len(sites)))]
    for name, some in by_method(runs).items():
        dice = {site: [run.last.by_site[site] for run in some] for site in sites}
        means = [statistics.fmean(run.last.by_site.values()) for run in some]
        worst = min(sites, key=lambda site: statistics.fmean(dice[site]))
        lines.append(row(name, *map(mean_and_spread, dice.values()), mean_and_spread(means), worst))
    return "\n".join(lines)


@dataclass(frozen=True)
class Ratio:
    """A method's last Dice over that of centralized training with the same seed: mean, least and most over seeds."""

    method: str
    mean: float
    least: float
    most: float


def ratios(runs: Sequence[Run]) -> list[Ratio]:
    """Each federated method against centralized training, the best first; none where one of the two is missing."""
    methods = by_method(runs)
    central = {run.order.seed: run.last.dice for run in methods.get(CENTRALIZED, [])}
    found = []
    for name, one in methods.items():
        values = [run.last.dice / central[run.order.seed] for run in one if run.order.seed in central]
        if one[0].order.method.federated and values:
            found.append(Ratio(name, statistics.fmean(values), min(values), max(values)))
    return sorted(found, key=lambda ratio: -ratio.mean)


def ratio_table(found: Sequence[Ratio]) -> str:
    """The ratios as Markdown, beside the paper's."""
    lines = [row("aggregator / centralized", "mean", "least seed", "best seed"), row(*["---"] * 4)]
    lines += [row(one.method, f"{one.mean:.4f}", f"{one.least:.4f}", f"{one.most:.4f}") for one in found]
    lines.append(row("aim (the paper's FedAdam)", f"{PAPER_RATIO:.4f}", "", ""))
    return "\n".join(lines)


def tuning_table(runs: Sequence[Run]) -> str:
    """Every candidate's last Dice as Markdown, each method's best first, and what it is above the first candidate."""
    ordered = sorted(runs, key=lambda run: (run.name, -run.last.dice))
    lines = [row("method", "Dice on validation pages", f"less {runs[0].order.method.label}"), row(*["---"] * 3)]
    for run in ordered:
        lines.append(row(run.order.method.label, f"{run.last.dice:.4f}", f"{run.last.dice - runs[0].last.dice:+.4f}"))
    return "\n".join(lines)


def csv_text(runs: Sequence[Run]) -> str:
    """A line a measurement: method and its settings, seed, round, Dice, Dice by site."""
    sites = list(runs[0].last.by_site)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "settings", "seed", "round", "dice", *sites])
    for run in runs:
        for point in run.points:
            figures = [point.dice, *(point.by_site[site] for site in sites)]
            told = (run.name, run.order.method.label, run.order.seed, point.round)
            writer.writerow([*told, *(f"{value:.6f}" for value in figures)])
    return text.getvalue()


def json_text(runs: Sequence[Run]) -> str:
    """The runs and their ratios as one JSON document."""
    return json.dumps(
        {"runs": [asdict(run) for run in runs], "ratios": [asdict(one) for one in ratios(runs)]}, indent=1
    )


def reseeded(order: Order, seeds: Iterable[int]) -> list[Order]:
    """The order once for each seed."""
    return [replace(order, seed=seed) for seed in seeds]
