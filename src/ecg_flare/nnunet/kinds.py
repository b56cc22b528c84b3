"""The kinds of task that there are, and what is found by name: plans, tasks, and the case sources.

A kind's module is loaded when it is asked for, so that this part leans on none of them. Extensions add theirs by
`register_kind`. Importing this module costs no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.documents import Fields, parse_object, short
from ecg_flare.errors import ConfigError, PlanMismatchError
from ecg_flare.extensions import Registry
from ecg_flare.federated.parts import TrainedModel
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.federated.update import layout_size
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.learnt import AgreedPlan, LearntTask
from ecg_flare.nnunet.named_classes import class_path
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.plan_check import check_plan
from ecg_flare.nnunet.task import Task

if TYPE_CHECKING:
    from ecg_flare.nnunet.counting import Counting

_OWN: Final = (
    "ecg_flare.task.traces.kind",
    "ecg_flare.task.datasets.kind",
    "ecg_flare.task.agreement.kind",
    "ecg_flare.task.modules.kind",
)
"""Modules of the package's own kinds, each with a constant KIND."""


def read_nnunet_plan(name: str, document: str) -> Plan:
    """The plan of nnU-Net in a document; raises ConfigError where it is none, or may not be used."""
    return check_plan(Plan.from_document(name, document))


def admit_none(plan: AgreedPlan) -> None:
    """Refuse another's class: raises ConfigError, always."""
    raise ConfigError(f"a plan of kind {plan.kind!r} needs no class of others, and {plan.named_class!r} is given")


@dataclass(frozen=True)
class TaskKind:
    """A kind of task.

    Attributes:
        name: as a plan says it (`Plan.kind`).
        task: a plan -> the task.
        presets: name -> plan, of the plans that come with it; the names are unlike those of any other kind.
        sources: class paths of the case sources that files and jobs may name.
        read: (name, document) -> the plan that the document holds, once nothing in it is what it may not be; raises
            ConfigError where it is none.
        admit: lets this process import the class that an admitted plan names; raises ConfigError where it may not.
        counting: a plan -> what is counted in the place of training; None for a kind that trains.
        cases_of: name of the kind whose cases it takes; '' where these are its own.
    """

    name: str
    task: Callable[[Any], LearntTask[Any]]
    presets: Mapping[str, Callable[[], Plan]]
    sources: tuple[str, ...] = ()
    read: Callable[[str, str], AgreedPlan] = read_nnunet_plan
    admit: Callable[[AgreedPlan], None] = admit_none
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


def learnt(plan: AgreedPlan) -> LearntTask[Any]:
    """The task that a plan is for; raises ConfigError for a kind that is not known here."""
    return _kind_of(plan).task(plan)


def task_of(plan: AgreedPlan) -> Task:
    """The task of nnU-Net that a plan is for; raises ConfigError for another."""
    task = learnt(nnunet_plan(plan))
    if not isinstance(task, Task):
        raise ConfigError(f"the kind of task {plan.kind!r} gives {short(task)}, expected a task of nnU-Net")
    return task


def nnunet_plan(plan: AgreedPlan) -> Plan:
    """The plan as one of nnU-Net; raises ConfigError for another."""
    if not isinstance(plan, Plan):
        raise ConfigError(f"the plan {plan.name!r} is of kind {plan.kind!r}, whose network is not nnU-Net's")
    return plan


def counting_of(plan: AgreedPlan) -> Counting | None:
    """What is counted by a plan in the place of training; None for a plan that is trained; raises as `learnt`."""
    counting = _kind_of(plan).counting
    return None if counting is None else counting(nnunet_plan(plan))


def required_counting(plan: AgreedPlan) -> Counting:
    """What is counted by a plan; raises ConfigError for one that is trained, and as `learnt`."""
    counting = counting_of(plan)
    if counting is None:
        raise ConfigError(f"the plan {plan.name!r} is trained, expected one by which sites count")
    return counting


def start_model(plan: AgreedPlan, seed: int) -> Float32[np.ndarray, " d"]:
    """What a job starts from that has nothing public to start from: the untrained network, or counts of nothing."""
    if counting_of(plan) is not None:
        return np.zeros(layout_size(plan.layout), np.float32)
    return learnt(plan).initial_model(seed)


def cases_kind(plan: AgreedPlan) -> str:
    """Name of the kind of task whose cases a plan is for; raises as `learnt`."""
    kind = _kind_of(plan)
    return kind.cases_of or kind.name


def check_source(source: CaseSource, plan: AgreedPlan) -> None:
    """Raise ConfigError where a source gives cases of another kind of task than the plan is for.

    Only the kinds' own sources are known by their kind; what an extension's gives is found out where it is read.
    """
    wanted, path = cases_kind(plan), class_path(type(source))
    if others := [kind.name for kind in _kinds().values() if path in kind.sources and kind.name != wanted]:
        raise ConfigError(
            f"the plan {plan.name!r} is for cases of kind {wanted!r}, and {path} gives cases of kind {others[0]!r}"
        )


def admit(plan: AgreedPlan) -> None:
    """Let this process import the class that the plan names, of which the caller's process has built an object.

    Raises ConfigError where it cannot be imported, or is none that this kind of task takes.
    """
    _kind_of(plan).admit(plan)


def _kind_of(plan: AgreedPlan) -> TaskKind:
    return _kind(plan.kind, plan.name)


def _kind(kind: str, plan: str) -> TaskKind:
    kinds = _kinds()
    if kind not in kinds:
        raise ConfigError(f"plan {plan!r} is for a task of kind {kind!r}, known are {', '.join(kinds)}")
    return kinds[kind]


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
def plan_of(name: str, document: str = "") -> AgreedPlan:
    """The plan of a job's model: the preset of that name, or the one that the document holds.

    Raises ConfigError for an unknown preset, and for a document that is no plan, or one that may not be used.
    """
    if not document:
        return plan_preset(name)
    if name in preset_names():
        raise ConfigError(f"the plan {name!r} is a preset, and the job brings another of that name: rename it")
    where = f"the plan {name!r}"
    kind = Fields(parse_object(document, where, ConfigError), where, ConfigError).text("kind")
    return _kind(kind, name).read(name, document)


def carried_document(plan: AgreedPlan) -> str:
    """What a job or a message must carry beside the plan's name: '' for a preset, or else its document."""
    return "" if plan.name in preset_names() else plan.document


def verified_plan(name: str, expected_hash: str, document: str = "") -> AgreedPlan:
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
    """The tensors of a job's network that sites train together, or in their place what they count.

    Raises ConfigError for an unknown plan, a pattern of no tensor, and where every tensor is local.
    """
    plan = plan_of(model.plan, model.document)
    layout = learnt(plan).sums.layout if model.counted and counting_of(plan) is None else plan.layout
    return TrainableSubset.matching(layout, model.trained).without(model.local)


@cache
def local_subset(model: TrainedModel) -> TrainableSubset | None:
    """The tensors of a job's network that each site trains and keeps; None for none, and raises as `trained_subset`."""
    if not model.local:
        return None
    return TrainableSubset.matching(plan_of(model.plan, model.document).layout, model.local)
