"""The kinds of task that there are, and what is found by name: plans, tasks, and the case sources.

A kind's module is loaded when it is asked for, so that this part leans on none of them. Extensions add theirs by
`register_kind`. Importing this module costs no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError, PlanMismatchError
from ecg_flare.extensions import Registry
from ecg_flare.federated.parts import TrainedModel
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.plan import Plan, initial_vector, parameter_count, parameter_layout
from ecg_flare.nnunet.plan_check import check_plan
from ecg_flare.nnunet.task import Task, label_layout

if TYPE_CHECKING:
    from ecg_flare.nnunet.counting import Counting

_OWN: Final = ("ecg_flare.task.traces.kind", "ecg_flare.task.datasets.kind", "ecg_flare.task.agreement.kind")
"""Modules of the package's own kinds, each with a constant KIND."""


@dataclass(frozen=True)
class TaskKind:
    """A kind of task.

    Attributes:
        name: as a plan says it (`Plan.kind`).
        task: a plan -> the task.
        presets: name -> plan, of the plans that come with it; the names are unlike those of any other kind.
        sources: class paths of the case sources that files and jobs may name.
        check: a plan that a job brings -> the plan, once nothing in it is what it may not be; raises ConfigError.
        counting: a plan -> what is counted in the place of training; None for a kind that trains.
        cases_of: name of the kind whose cases it takes; '' where these are its own.
    """

    name: str
    task: Callable[[Plan], Task]
    presets: Mapping[str, Callable[[], Plan]]
    sources: tuple[str, ...] = ()
    check: Callable[[Plan], Plan] = check_plan
    counting: Callable[[Plan], Counting] | None = None
    cases_of: str = ""


@cache
def _kinds() -> Registry[TaskKind]:
    own = (importlib.import_module(module).KIND for module in _OWN)
    return Registry("kind of task", {kind.name: kind for kind in own})


def register_kind(kind: TaskKind) -> TaskKind:
    """Make a kind of task known, for extensions; raises ConfigError for a name that is taken."""
    _kinds().add(kind.name, kind)
    return kind


def source_paths() -> Iterator[str]:
    """Class paths of the sources of all kinds."""
    for kind in _kinds().values():
        yield from kind.sources


def task_of(plan: Plan) -> Task:
    """The task that a plan is for; raises ConfigError for a kind that is not known here."""
    return _kind_of(plan).task(plan)


def counting_of(plan: Plan) -> Counting | None:
    """What is counted by a plan in the place of training; None for a plan that is trained; raises as `task_of`."""
    counting = _kind_of(plan).counting
    return None if counting is None else counting(plan)


def required_counting(plan: Plan) -> Counting:
    """What is counted by a plan; raises ConfigError for one that is trained, and as `task_of`."""
    counting = counting_of(plan)
    if counting is None:
        raise ConfigError(f"the plan {plan.name!r} is trained, expected one by which sites count")
    return counting


def start_model(plan: Plan, seed: int) -> Float32[np.ndarray, " d"]:
    """What a job starts from that has nothing public to start from: nnU-Net's initialization, or counts of nothing."""
    if counting_of(plan) is not None:
        return np.zeros(parameter_count(plan), np.float32)
    return initial_vector(plan, seed)


def cases_kind(plan: Plan) -> str:
    """Name of the kind of task whose cases a plan is for; raises as `task_of`."""
    kind = _kind_of(plan)
    return kind.cases_of or kind.name


def _kind_of(plan: Plan) -> TaskKind:
    kinds = _kinds()
    if plan.kind not in kinds:
        raise ConfigError(f"plan {plan.name!r} is for a task of kind {plan.kind!r}, known are {', '.join(kinds)}")
    return kinds[plan.kind]


def preset_names() -> tuple[str, ...]:
    """Names that `plan_preset` knows, smallest network of a kind first."""
    return tuple(name for kind in _kinds().values() for name in kind.presets)


def plan_preset(name: str) -> Plan:
    """The published plan of that name.

    Raises ConfigError for any other name.
    """
    for kind in _kinds().values():
        if name in kind.presets:
            return kind.presets[name]()
    raise ConfigError(f"unknown plan {name!r}: choose one of {', '.join(preset_names())}")


@cache
def plan_of(name: str, document: str = "") -> Plan:
    """The plan of a job's model: the preset of that name, or the one that the document holds.

    Raises ConfigError for an unknown preset, and for a document that is no plan or that nnU-Net may not be given.
    """
    if not document:
        return plan_preset(name)
    if name in preset_names():
        raise ConfigError(f"the plan {name!r} is a preset, and the job brings another of that name: rename it")
    plan = Plan.from_document(name, document)
    return _kind_of(plan).check(plan)


def carried_document(plan: Plan) -> str:
    """What a job or a message must carry beside the plan's name: '' for a preset, or else its document."""
    return "" if plan.name in preset_names() else plan.document


def verified_plan(name: str, expected_hash: str, document: str = "") -> Plan:
    """The plan of that name, once its hash equals the one that the other side holds.

    Raises ConfigError as `plan_of` and PlanMismatchError for another hash.
    """
    plan = plan_of(name, document)
    if plan.hash != expected_hash:
        raise PlanMismatchError(
            f"plan {name!r} has hash {plan.hash} here and {expected_hash} at the other side: "
            "install the same version of ecg_flare at every site"
        )
    return plan


@cache
def trained_subset(model: TrainedModel) -> TrainableSubset:
    """The trained tensors of a job's network, or in their place what its sites count.

    Raises ConfigError for an unknown plan or a pattern of no tensor.
    """
    plan = plan_of(model.plan, model.document)
    layout = label_layout(task_of(plan)) if model.counted and counting_of(plan) is None else parameter_layout(plan)
    return TrainableSubset.matching(layout, model.trained)
