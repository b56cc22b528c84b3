"""A torch task small enough for arithmetic: a straight line through two inputs, judged by the sign of its value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.settings import PrepareSettings
from ecg_flare.task.modules import Example, multilabel_counts, plan_of_task, register_task
from ecg_flare.task.modules.dataset import PreparedExamples, prepare_examples
from ecg_flare.task.modules.plan import ModulePlan


@register_task
@dataclass(frozen=True)
class Line:
    """y = slope . x + intercept, by least squares; `fault` is what its owner got wrong."""

    batch_size: int = 2
    fault: str = ""

    labels = ("positive",)
    last_part = ("intercept.*",)

    def module(self) -> Any:
        import straight_line_network

        return straight_line_network.network(self.fault)

    def loss(self, outputs: Any, targets: Any) -> Any:
        if self.fault == "loss that is NaN":
            return (outputs * float("nan")).mean()
        if self.fault == "loss of each case":
            return (outputs - targets).repeat(1, 2) ** 2
        if self.fault == "loss of nothing":
            return ((outputs.detach() - targets) ** 2).mean()
        if self.fault == "a loss that breaks on positives" and targets.max() > 0.5:
            raise IndexError("Target 1 is out of bounds")
        return ((outputs - targets) ** 2).mean()

    def counts(self, outputs: Any, targets: Any) -> Any:
        if self.fault == "counts of another shape":
            return np.zeros((3, 2), np.int64)
        if self.fault == "counts that are no numbers":
            return np.full((3, 1), 0.5)
        return multilabel_counts(outputs, targets)


@dataclass(frozen=True)
class Points:
    """Points as a site's cases: two of each patient, drawn from a seed; `fault` is what is wrong with case 3."""

    patients: int = 5
    fault: str = ""
    seed: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)

    def describe(self, site: str) -> Any:
        return [site, self.patients, self.fault, self.seed]

    def cases(self, site: str) -> Iterator[Any]:
        rng = np.random.default_rng([self.seed, len(site)])
        for index in range(2 * self.patients):
            x = rng.normal(size=2).astype(np.float32)
            name, patient, target = f"p{index}", f"patient{index // 2}", np.array([x.sum() > 0], np.float32)
            if index == 3:
                match self.fault:
                    case "nobody":
                        patient = " "
                    case "NaN":
                        x[1] = np.nan
                    case "shape":
                        x = x[:1]
                    case "dtype":
                        x = x.astype(np.float64)
                    case "target":
                        target = np.array([np.inf], np.float32)
                    case "words":
                        target = np.array(["yes"])
                    case "twice":
                        name = "p0"
                    case "path":
                        name = "../p3"
                    case "dict":
                        yield {"name": name}
                        return
            yield Example(name, patient, x, target)


def line_plan(**changes: Any) -> ModulePlan:
    return plan_of_task(Line(**changes))


def points(cache: Path, source: Points | None = None, settings: PrepareSettings | None = None) -> PreparedExamples:
    cases = SiteCases(source or Points(), "site-1", line_plan(), cache)
    return prepare_examples(cases, settings or PrepareSettings(), lambda _: None)
