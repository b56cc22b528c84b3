"""The kinds of task that there are, and what is found by name: plans, tasks, and the case sources.

A kind's module is loaded when it is asked for, so that this part leans on none of them. Extensions add theirs by
`register_kind`. Importing this module costs no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from ecg_flare.errors import ConfigError, PlanMismatchError
from ecg_flare.extensions import Registry
from ecg_flare.federated.parts import TrainedModel
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.plan import Plan, parameter_layout
from ecg_flare.nnunet.plan_check import check_plan
from ecg_flare.nnunet.task import Task

_OWN: Final = ("ecg_flare.task.traces.kind", "ecg_flare.task.datasets.kind")
"""Modules of the package's own kinds, each with a constant KIND."""


@dataclass(frozen=True)
class TaskKind:
    """A kind of task.

    Attributes:
        name: as a plan says it (`Plan.kind`).
        task: a plan -> the task.
        presets: name -> plan, of the plans that come with it; the names are unlike those of any other kind.
        sources: class paths of the case sources that files and jobs may name.
    """

    name: str
    task: Callable[[Plan], Task]
    presets: Mapping[str, Callable[[], Plan]]
    sources: tuple[str, ...] = ()


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
    kinds = _kinds()
    if plan.kind not in kinds:
        raise ConfigError(f"plan {plan.name!r} is for a task of kind {plan.kind!r}, known are {', '.join(kinds)}")
    return kinds[plan.kind].task(plan)


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
    return check_plan(Plan.from_document(name, document))


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
    """The trained tensors of a job's network; raises ConfigError for an unknown plan or a pattern of no tensor."""
    return TrainableSubset.matching(parameter_layout(plan_of(model.plan, model.document)), model.trained)
