"""What all parties of a job with a torch module hold alike: its class, the class's arguments, and its parameters.

The names and shapes of the parameters and the labels stand in it, so that a server sums, clips and accounts without the
module, and a site whose module is another finds out before it trains.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from ecg_flare.documents import Fields, parse_object, short
from ecg_flare.errors import ConfigError, PlanMismatchError
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.federated.update import ParameterLayout, layout_digest
from ecg_flare.nnunet.case import json_digestible
from ecg_flare.nnunet.named_classes import to_spec
from ecg_flare.task.modules.task import TorchTask, build_task

KIND_NAME: Final = "torch"
_FIELDS: Final = ("kind", "task", "args", "layout", "labels", "last_part")
_CLASS: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
_MAX_TENSORS: Final = 10_000
_MAX_AXES: Final = 8
_MAX_LABELS: Final = 1000
_MAX_PARAMETERS: Final = 2**30


@dataclass(frozen=True)
class ModulePlan:
    """A torch module as a plan; it meets `nnunet.learnt.AgreedPlan`.

    Attributes:
        name: what people call it; it is not in the hash.
        task: class path of the `TorchTask`.
        args: its arguments.
        layout: ordered (name, shape) of the module's parameters.
        labels: names of what the task finds, in the order of its counts.
        last_part: patterns of the tensors that a job trains which trains but a part.
        admitted: whether this process was given an object of the class; see `task.admit_task`.
    """

    name: str
    task: str
    args: Mapping[str, Any]
    layout: ParameterLayout
    labels: tuple[str, ...]
    last_part: tuple[str, ...] = EVERY_TENSOR
    admitted: bool = field(default=False, compare=False)

    @property
    def kind(self) -> str:
        """Name of the kind of task."""
        return KIND_NAME

    @property
    def named_class(self) -> str:
        """The task's class path."""
        return self.task

    @property
    def named_args(self) -> Mapping[str, Any]:
        """The task's arguments."""
        return self.args

    def as_admitted(self) -> ModulePlan:
        """The same plan in a process that was given an object of its class."""
        return replace(self, admitted=True)

    @cached_property
    def document(self) -> str:
        """All that the hash is of, as canonical JSON text."""
        return json_digestible(
            {
                "kind": KIND_NAME,
                "task": self.task,
                "args": self.args,
                "layout": [[name, list(shape)] for name, shape in self.layout],
                "labels": list(self.labels),
                "last_part": list(self.last_part),
            }
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of the document."""
        return hashlib.sha256(self.document.encode()).hexdigest()

    @cached_property
    def layout_digest(self) -> str:
        """SHA-256 (hex) of the layout."""
        return layout_digest(self.layout)

    def built_task(self) -> TorchTask:
        """The task.

        Raises ConfigError where its class is not known here or does not take the arguments, and PlanMismatchError where
        it finds something else than the plan says.
        """
        task = build_task(self.task, self.args)
        if task.labels != self.labels:
            raise PlanMismatchError(
                f"{self.task!r} has the labels {short(list(task.labels))} here, {short(list(self.labels))} in the "
                "plan: install the same version at every site"
            )
        return task


def plan_of_task(task: TorchTask, name: str = "") -> ModulePlan:
    """The plan for a task of a registered class, called after the class where no name is given.

    The task may say in `last_part` which tensors a job trains that hides patients, by patterns of their names: noise
    grows with the number of values that are trained. Otherwise all are.

    Raises ConfigError for a module that cannot be trained by sites (`network.check_module`).
    """
    from ecg_flare.nnunet.plan import network_layout
    from ecg_flare.task.modules.module_check import check_module

    spec = to_spec(task, "torch task")
    labels = build_task(spec["path"], spec["args"]).labels
    layout = network_layout(check_module(task.module(), spec["path"]))
    last_part = tuple(getattr(task, "last_part", EVERY_TENSOR))
    TrainableSubset.matching(layout, last_part)
    called = name or spec["path"].rpartition(".")[2]
    return ModulePlan(called, spec["path"], spec["args"], layout, labels, last_part)


def read_plan(name: str, document: str) -> ModulePlan:
    """The plan that a document holds, without building anything; raises ConfigError for text that is none."""
    where = f"the plan {name!r}"
    found = Fields(parse_object(document, where, ConfigError), where, ConfigError).only(_FIELDS)
    if (kind := found.text("kind")) != KIND_NAME:
        raise ConfigError(f"{where} is of kind {kind!r}, expected {KIND_NAME!r}")
    task: str = found.text("task")
    if not _CLASS.fullmatch(task):
        raise ConfigError(f"{where}: task is {short(task)}, expected the class path of a torch task")
    layout = tuple(_tensor(entry, where) for entry in found.each("layout", _MAX_TENSORS))
    if len({name for name, _ in layout}) != len(layout) or not layout:
        raise ConfigError(f"{where}: layout needs one tensor or more, each under a name of its own")
    if (size := sum(math.prod(shape) for _, shape in layout)) > _MAX_PARAMETERS:
        raise ConfigError(f"{where}: layout has {size} parameters, at most {_MAX_PARAMETERS} are allowed")
    labels, last_part = found.texts("labels"), found.texts("last_part")
    if len(set(labels)) != len(labels) or not 1 <= len(labels) <= _MAX_LABELS:
        raise ConfigError(f"{where}: labels are {short(list(labels))}, expected 1 to {_MAX_LABELS} different names")
    TrainableSubset.matching(layout, last_part)
    return ModulePlan(name, task, found.mapping("args"), layout, labels, last_part)


def _tensor(entry: Any, where: str) -> tuple[str, tuple[int, ...]]:
    name, shape = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
    sides = shape if isinstance(shape, list) and len(shape) <= _MAX_AXES else [None]
    if not isinstance(name, str) or not all(type(side) is int and 1 <= side <= _MAX_PARAMETERS for side in sides):
        raise ConfigError(f"{where}: layout has {short(entry)}, expected a tensor's name and its shape")
    return name, tuple(sides)
