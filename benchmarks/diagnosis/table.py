"""What a run is, and the tables of runs: areas by superclass, and what pages cost."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.diagnosis.example import SUPERCLASSES
from benchmarks.diagnosis.measure import as_printed, aucs, interval, logits
from benchmarks.diagnosis.pages import ReadPage
from benchmarks.learning.kept import by_name
from benchmarks.learning.methods import Order, Promise
from benchmarks.markdown import mean_and_spread, row
from ecg_flare.digitize.confidence import WRITTEN
from ecg_flare.task.modules.dataset import PreparedExamples
from ecg_flare.task.modules.plan import ModulePlan

_DIGITS: Final = 3


@dataclass(frozen=True)
class Run:
    """A finished run: the areas of the superclasses on the held-out recordings, and what it promised."""

    order: Order
    auc: tuple[float, ...]
    promise: Promise
    cpu_s: float

    @property
    def key(self) -> str:
        """The digest of its order."""
        return self.order.key

    @property
    def macro(self) -> float:
        """Mean over the superclasses."""
        return statistics.fmean(self.auc)

    def __str__(self) -> str:
        return f"macro area {self.macro:.3f}, {self.cpu_s:.0f} CPU s"

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Run:
        """Read a kept run."""
        return cls(
            Order.from_json(line["order"]),
            tuple(line["auc"]),
            Promise(**line["promise"]),
            line["cpu_s"],
        )


def auc_table(runs: Iterable[Run]) -> str:
    """Areas by method as Markdown: means over seeds, and the macro area with its spread over them."""
    lines = [row("", *SUPERCLASSES, "macro", "seeds", "d", "sigma", "noise / signal"), row(*["---"] * 11)]
    for name, some in by_name(runs).items():
        areas = [f"{value:.3f}" for value in np.mean([run.auc for run in some], axis=0)]
        macro = mean_and_spread([run.macro for run in some], _DIGITS)
        lines.append(row(name, *areas, macro, len(some), *some[0].promise.cells()))
    return "\n".join(lines)


def page_table(
    plan: ModulePlan, held_out: PreparedExamples, read: Mapping[str, ReadPage], models: Mapping[Order, np.ndarray]
) -> str:
    """Macro areas on the recordings, on what a page prints of them, and on what was read from the page.

    Means over seeds; the interval is that of the difference to the recordings as they are printed, over patients and of
    the first seed.
    """
    names = list(read)
    whole, targets = held_out.inputs(names), held_out.targets(names)
    patients = {entry.name: entry.patient_id for entry in held_out.entries}
    sources = {
        "recording": whole,
        "as printed": as_printed(whole),
        "read from the page": np.stack([read[name].inputs for name in names]),
    }
    areas: dict[str, dict[str, list[list[float]]]] = {}
    bounds: dict[str, tuple[float, float]] = {}
    for order, model in models.items():
        scores = {source: logits(plan, model, inputs) for source, inputs in sources.items()}
        of_method = areas.setdefault(order.method.name, {source: [] for source in sources})
        for source, values in scores.items():
            of_method[source].append(aucs(values, targets))
        if order.method.name not in bounds:
            pair = scores["read from the page"], scores["as printed"]
            bounds[order.method.name] = interval(pair, targets, [patients[name] for name in names])
    lines = [row("", "input", *SUPERCLASSES, "macro", "difference to as printed, 95 %"), row(*["---"] * 9)]
    for name, by_source in areas.items():
        for source, some in by_source.items():
            means = [f"{value:.3f}" for value in np.mean(some, axis=0)]
            low, high = bounds[name]
            said = f"{low:+.3f} to {high:+.3f}" if source == "read from the page" else ""
            lines.append(
                row(name, source, *means, mean_and_spread([statistics.fmean(one) for one in some], _DIGITS), said)
            )
    refused = sum(page.confidence == 0 for page in read.values())
    withheld = sum(0 < page.confidence < WRITTEN for page in read.values())
    lines.append(f"\n{len(read)} pages, of which {refused} were refused and {withheld} would be withheld.")
    return "\n".join(lines)
