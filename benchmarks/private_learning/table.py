"""Finished runs: kept as JSON lines, told as tables."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.markdown import mean_and_spread, row
from benchmarks.private_learning.runs import Outcome, Recipe
from benchmarks.private_learning.steps import LocalSteps
from benchmarks.run_lines import Determined, RunLines, grouped


@dataclass(frozen=True)
class Order(Determined):
    """What determines a run's result: the recipe, the seed, and a digest of start and windows."""

    recipe: Recipe
    seed: int
    data: str


@dataclass(frozen=True)
class Run:
    """A finished run, and the CPU seconds that it took."""

    order: Order
    outcome: Outcome
    cpu_s: float

    @property
    def key(self) -> str:
        """The key of its order."""
        return self.order.key

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.order.recipe.name


class RunFile(RunLines[Run]):
    """The finished runs, and beside them a model of each.

    Attributes:
        models: the folder of the models.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, run_from_json)
        self.models = path.parent / "models"
        self.models.mkdir(exist_ok=True)

    def model_path(self, order: Order) -> Path:
        """Where the model lies that an order's run would release."""
        return self.models / f"{order.key}.npy"


def run_from_json(document: dict[str, Any]) -> Run:
    """The run that `asdict` and JSON made a document of."""
    order = document["order"]
    recipe = {**order["recipe"], "local": LocalSteps(**order["recipe"]["local"])}
    recipe["trained"] = tuple(recipe["trained"])
    return Run(Order(Recipe(**recipe), order["seed"], order["data"]), Outcome(**document["outcome"]), document["cpu_s"])


def dice_table(runs: Sequence[Run], reference: str) -> str:
    """Recipes as rows of Markdown: what the noise was, Dice over seeds, and the share of the reference's Dice."""
    of_reference = statistics.fmean(run.outcome.dice for run in runs if run.name == reference)
    lines = [row("", "d", "sigma", "noise / signal", "Dice", "seeds", f"of {reference}"), row(*["---"] * 7)]
    for name, one in grouped(runs, lambda run: run.name).items():
        outcome = one[0].outcome
        noise = (f"{outcome.sigma:.2f}", f"{outcome.noise_to_signal:.2f}") if outcome.sigma else ("", "")
        share = f"{statistics.fmean(run.outcome.dice for run in one) / of_reference:.3f}"
        lines.append(
            row(
                name,
                f"{outcome.parameters:,}",
                *noise,
                mean_and_spread([run.outcome.dice for run in one]),
                str(len(one)),
                share,
            )
        )
    return "\n".join(lines)


def site_table(runs: Sequence[Run]) -> str:
    """Dice by site as Markdown, mean over seeds."""
    sites = list(runs[0].outcome.by_site)
    lines = [row("", *sites), row(*["---"] * (1 + len(sites)))]
    for name, one in grouped(runs, lambda run: run.name).items():
        means = (statistics.fmean(run.outcome.by_site[site] for run in one) for site in sites)
        lines.append(row(name, *(f"{mean:.4f}" for mean in means)))
    return "\n".join(lines)


def json_text(runs: Iterable[Run]) -> str:
    """The runs as one JSON document."""
    return json.dumps([asdict(run) for run in runs], indent=1)
