"""A task whose network is any torch module: what its owner writes, and which classes of others may be built.

A name becomes a class in two ways, as for a case source: an extension of the machine's owner registers the class
(`register_task`), or FLARE built an object of that class for the job, which its own allow-list lets through
(`admit_task`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from ecg_flare.errors import ConfigError
from ecg_flare.extensions import Registry
from ecg_flare.nnunet.named_classes import built, class_path, imported

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Integer
    from torch import Tensor, nn

_WHAT: Final = "torch task"
_METHODS: Final = ("module", "loss", "counts")
_PARAMS: Final = "__dataclass_params__"
_MAX_BATCH: Final = 100_000


@runtime_checkable
class TorchTask(Protocol):
    """A network, its loss, and how it is judged.

    A task is a frozen dataclass whose fields are JSON values, so that a job can name it by class path and arguments.

    Attributes:
        labels: names of what is found or not in a case; their counts judge a model.
        batch_size: cases of a training step, fewer where there are no more.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def batch_size(self) -> int: ...

    def module(self) -> nn.Module:
        """The untrained network, of float32 parameters, initialized from torch's global generator.

        What it learns is its parameters and nothing else: a batch norm's running statistics would stay behind. Group
        norm and layer norm have none.
        """
        ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, one number; outputs and targets have the batch as their first axis."""
        ...

    def counts(self, outputs: Tensor, targets: Tensor) -> Integer[np.ndarray, "3 labels"]:
        """True positives, false positives and false negatives of a batch, by label."""
        ...


TASKS: Final = Registry[type](_WHAT, {})
"""Class path -> class, of extensions and of the job that this process works for."""


def register_task(kind: type) -> type:
    """Let jobs name the torch task of an extension by its class path; usable as a decorator.

    Raises ConfigError for a class that is no frozen dataclass with the methods of `TorchTask`.
    """
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind) and getattr(kind, _PARAMS).frozen):
        raise ConfigError(f"{kind!r} is no torch task, expected a frozen dataclass")
    if missing := [name for name in _METHODS if not callable(getattr(kind, name, None))]:
        raise ConfigError(f"{kind!r} is no torch task: it lacks the method {missing[0]}")
    TASKS.add(class_path(kind), kind)
    return kind


def admit_task(path: str) -> None:
    """Import a class of which the caller's process was given an object, and let this process build it.

    Raises ConfigError where it cannot be imported, or is no torch task.
    """
    if path not in TASKS:
        register_task(imported(path, _WHAT))


def build_task(path: str, args: Mapping[str, Any]) -> TorchTask:
    """The task of that class path, of `TASKS` and no others.

    Raises ConfigError where it cannot be built, or says no labels or batch size.
    """
    if path not in TASKS:
        raise ConfigError(
            f"the torch task {path!r} is none of {', '.join(TASKS) or 'those known here (there are none)'}: load the "
            "module that registers it (`ecg-flare --extension MODULE`; at a site, 'extensions' in local/ecg_flare.json)"
        )
    task = built(TASKS[path], args, _WHAT)
    labels, batch = getattr(task, "labels", None), getattr(task, "batch_size", None)
    named = isinstance(labels, tuple) and all(isinstance(each, str) and each for each in labels)
    if not named or not labels or len(set(labels)) != len(labels):
        raise ConfigError(f"{_WHAT} {path!r} has the labels {labels!r}, expected a tuple of different names")
    if type(batch) is not int or not 1 <= batch <= _MAX_BATCH:
        raise ConfigError(f"{_WHAT} {path!r} has the batch_size {batch!r}, expected a whole number, 1 to {_MAX_BATCH}")
    assert isinstance(task, TorchTask), "its methods were looked for when it was registered"
    return task
