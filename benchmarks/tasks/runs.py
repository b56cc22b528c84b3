"""The methods that the hippocampus is trained by, how long, and the Dice on cases that nobody trains on."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from benchmarks.learning.bench import POOL, Vector
from benchmarks.learning.kept import by_name
from benchmarks.learning.methods import Budget, Method, Order, Promise
from benchmarks.markdown import mean_and_spread, row
from benchmarks.tasks.sites import SITES
from ecg_flare.nnunet.dataset import PreparedDataset
from ecg_flare.nnunet.kinds import task_of
from ecg_flare.nnunet.plan import Plan, network, unflatten_into
from ecg_flare.nnunet.task import LabelCounts, count_labels

BUDGET: Final = Budget(rounds=10, steps=20, learning_rate=0.1, public_steps=100)
_FEDADAM: Final = Method("fedadam", optimizer="fedadam", server_rate=0.02)


def methods(plan: Plan) -> dict[str, Method]:
    """Name -> method; the private ones train the last stage of the plan's decoder, or all of it."""
    found = (
        Method("public-start", start="public", trains=False),
        *(Method(f"local-{site}", site=site) for site in SITES),
        Method("centralized", site=POOL),
        Method("fedavg"),
        Method("fedprox", proximal_mu=0.01),
        _FEDADAM,
        replace(_FEDADAM, name="fedadam-secure", clipping_norm=10.0, summation="masked"),
        *(
            Method(
                f"private-{name}-eps{epsilon:g}" if epsilon else f"clipped-{name}",
                start="public",
                optimizer="fedadam",
                server_rate=0.003,
                server_tau=1e-5,
                clipping_norm=0.1,
                summation="masked",
                by_patient=True,
                epsilon=epsilon,
                trained=trained,
            )
            for name, trained in (("last", plan.last_part), ("whole", ("*",)))
            for epsilon in (None, 8.0, 3.0)
        ),
    )
    return {method.name: method for method in found}


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        order: what determined it.
        by_site: Dice by label over the voxels of each site's held-out cases.
        overall: Dice by label over the voxels of all of them.
        promise: about patients.
        cpu_s: of training.
    """

    order: Order
    by_site: Mapping[str, tuple[float, ...]]
    overall: tuple[float, ...]
    promise: Promise
    cpu_s: float

    @property
    def key(self) -> str:
        """The digest of its order."""
        return self.order.key

    def __str__(self) -> str:
        labels = ", ".join(f"{value:.3f}" for value in self.overall)
        return f"Dice {labels}, mean {statistics.fmean(self.overall):.3f}, {self.cpu_s:.0f} CPU s"

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Run:
        """Read a kept run."""
        return cls(
            Order.from_json(line["order"]),
            {site: tuple(values) for site, values in line["by_site"].items()},
            tuple(line["overall"]),
            Promise(**line["promise"]),
            line["cpu_s"],
        )


def measured(plan: Plan, held_out: Mapping[str, PreparedDataset], model: Vector) -> dict[str, tuple[float, ...]]:
    """Site -> Dice of each label but the background, over the voxels of its cases; '' for those of all sites."""
    task, module = task_of(plan), network(plan)
    unflatten_into(module, model)
    module.eval()
    none = np.zeros((3, len(task.labels)), np.int64)
    counts = {site: none.copy() for site in held_out}
    for site, dataset in held_out.items():
        for entry in dataset.entries:
            counts[site] += count_labels(task, *task.segment(module, dataset, entry))
    return {site: _dice(one) for site, one in {**counts, "": sum(counts.values(), none)}.items()}


def dice_table(runs: Iterable[Run], labels: Iterable[str]) -> str:
    """Dice by method as Markdown: means over seeds, the mean over labels with its spread, and over centralized."""
    head = ("", *labels, "mean", "/ centralized", *SITES, "seeds", "d", "sigma", "noise / signal")
    lines = [row(*head), row(*["---"] * len(head))]
    grouped = by_name(runs)
    central = _overall(grouped["centralized"]) if "centralized" in grouped else None
    for name, some in grouped.items():
        by_label = [f"{value:.3f}" for value in np.mean([run.overall for run in some], axis=0)]
        sites = [f"{np.mean([run.by_site[site] for run in some]):.3f}" for site in SITES]
        mean = mean_and_spread([statistics.fmean(run.overall) for run in some], 3)
        ratio = f"{_overall(some) / central:.3f}" if central else ""
        lines.append(row(name, *by_label, mean, ratio, *sites, len(some), *some[0].promise.cells()))
    return "\n".join(lines)


def _overall(runs: Iterable[Run]) -> float:
    return statistics.fmean(value for run in runs for value in run.overall)


def _dice(counts: np.ndarray) -> tuple[float, ...]:
    tp, fp, fn = (tuple(row) for row in counts.tolist())
    found = LabelCounts(tp, fp, fn)
    return tuple(found.dice(label) for label in range(1, len(tp)))
