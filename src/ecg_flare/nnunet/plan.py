"""Frozen training plans: what every site must hold alike before a round of training means anything.

nnU-Net normally derives its plan from a fingerprint of the data. Sharing fingerprints between hospitals leaks, so a
plan here is fixed, published and hashed: sites compare the hash and train, or differ and stop (`PlanMismatchError`).
Importing this module costs no torch.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated.update import ParameterLayout, layout_digest, layout_size

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ecg_flare.nnunet.learnt import AgreedPlan

_FORMAT = 1
_IGNORE = "ignore"
_DOCUMENT = ("kind", "configuration_name", "plans", "dataset_json", "meaning")


@dataclass(frozen=True)
class Plan:
    """One nnU-Net plan and the dataset description that gives its labels their meaning.

    `plans` and `dataset_json` are nnU-Net's own documents (plans.json, dataset.json). nnU-Net pops entries from
    what it is given: hand it `nnunet_plans()`, a copy.

    Attributes:
        name: what people call it; it is not in the hash.
        plans: plans.json.
        dataset_json: dataset.json.
        configuration_name: the configuration of `plans` that is trained.
        kind: name of the kind of task that it is a plan for (`kinds`).
        meaning: what else gives images and labels their meaning, as JSON; it is in the hash.
        known_layout: the network's parameters, where they are known without building it.
    """

    name: str
    plans: Mapping[str, Any] = field(repr=False)
    dataset_json: Mapping[str, Any] = field(repr=False)
    configuration_name: str
    kind: str
    meaning: Mapping[str, Any] = field(default_factory=dict, repr=False)
    known_layout: ParameterLayout | None = field(default=None, repr=False, compare=False)

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over the canonical JSON of everything that changes training or its meaning."""
        document = {"format": _FORMAT, "plans": self.plans, "dataset_json": self.dataset_json, **self.meaning}
        return hashlib.sha256(_canonical(document).encode()).hexdigest()

    @property
    def layout(self) -> ParameterLayout:
        """Ordered (name, shape) of the network's parameters: what gives a flat vector its meaning.

        Presets are read from stored data, so that a server needs no torch; other plans build their network, without
        memory for its values.
        """
        return self.known_layout if self.known_layout is not None else self.built_layout

    @cached_property
    def layout_digest(self) -> str:
        """SHA-256 (hex) of the ordered (name, shape) list of the network's parameters."""
        return layout_digest(self.layout)

    @property
    def last_part(self) -> tuple[str, ...]:
        """Patterns of the tensors of the decoder's last stage, with its head."""
        last = self.configuration["architecture"]["arch_kwargs"]["n_stages"] - 2
        return tuple(f"decoder.{part}.{last}.*" for part in ("transpconvs", "stages", "seg_layers"))

    @property
    def named_class(self) -> str:
        """None: all that a plan may name is nnU-Net's own."""
        return ""

    @property
    def named_args(self) -> Mapping[str, Any]:
        """None."""
        return {}

    @property
    def admitted(self) -> bool:
        """Nothing needs to be."""
        return False

    def as_admitted(self) -> Plan:
        """The plan as it is."""
        return self

    @cached_property
    def built_layout(self) -> ParameterLayout:
        """Ordered (name, shape) of the network's parameters; raises ConfigError where nnU-Net cannot build it."""
        import torch

        try:
            with torch.device("meta"):
                return network_layout(network(self))
        except (TypeError, ValueError, AssertionError, RuntimeError, LookupError, AttributeError) as error:
            raise ConfigError(f"the network of plan {self.name!r} cannot be built: {error}") from error

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The configuration that is trained."""
        return self.plans["configurations"][self.configuration_name]

    @property
    def patch_size(self) -> tuple[int, ...]:
        """Size of a training patch: two numbers, or three."""
        return tuple(self.configuration["patch_size"])

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of two pixels or voxels along each axis, in the data's own unit."""
        return tuple(self.configuration["spacing"])

    @property
    def normalization(self) -> tuple[str, ...]:
        """nnU-Net's scheme of normalization for each channel."""
        return tuple(self.configuration["normalization_schemes"])

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in order."""
        names = self.dataset_json["channel_names"]
        return tuple(names[key] for key in sorted(names, key=int))

    @property
    def labels(self) -> Mapping[str, tuple[int, ...]]:
        """Name -> values of a mask that belong to it; what is ignored is no label. A region has several values."""
        given = self.dataset_json["labels"].items()
        return {name: tuple(_values(value)) for name, value in given if name != _IGNORE}

    @property
    def has_regions(self) -> bool:
        """Whether the network finds regions, which may lie in each other, instead of classes."""
        return any(len(values) > 1 for values in self.labels.values())

    @property
    def ignored(self) -> int | None:
        """The value of a mask that is left out of training, where the dataset description has one."""
        value = self.dataset_json["labels"].get(_IGNORE)
        return None if value is None else int(_values(value)[0])

    @property
    def size_multiple(self) -> int:
        """What each side of a whole image must be a multiple of to pass the network."""
        strides = np.array(self.configuration["architecture"]["arch_kwargs"]["strides"])
        return int(strides.prod(axis=0).max())

    @property
    def n_classes(self) -> int:
        """Number of the network's outputs: classes with the background, or regions without it."""
        if not self.has_regions:
            return len(self.labels)
        return sum(values != (0,) for values in self.labels.values())

    @cached_property
    def document(self) -> str:
        """All that the hash is of, as canonical JSON text, from which `from_document` makes the plan again."""
        return _canonical(
            {
                "kind": self.kind,
                "configuration_name": self.configuration_name,
                "plans": self.plans,
                "dataset_json": self.dataset_json,
                "meaning": self.meaning,
            }
        )

    @classmethod
    def from_document(cls, name: str, document: str) -> Plan:
        """The plan of a `document`; raises ConfigError for text that is none.

        Whether nnU-Net may be given it is asked by `plan_check.check_plan`.
        """
        where = f"the plan {name!r}"
        found = Fields(parse_object(document, where, ConfigError), where, ConfigError).only(_DOCUMENT)
        plans, dataset_json, meaning = (found.mapping(key) for key in ("plans", "dataset_json", "meaning"))
        return cls(name, plans, dataset_json, found.text("configuration_name"), found.text("kind"), meaning)

    def nnunet_plans(self) -> dict[str, Any]:
        """A copy of `plans` that nnU-Net may change."""
        return copy.deepcopy(dict(self.plans))

    def nnunet_dataset_json(self) -> dict[str, Any]:
        """A copy of `dataset_json` that nnU-Net may change."""
        return copy.deepcopy(dict(self.dataset_json))


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _values(value: Any) -> list[int]:
    return [int(each) for each in value] if isinstance(value, list | tuple) else [int(value)]


def network(plan: Plan, *, deep_supervision: bool = False) -> nn.Module:
    """The plan's untrained network, on the CPU, initialized from torch's global generator."""
    from ecg_flare.nnunet.environment import nnunet_environment

    with nnunet_environment():
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    architecture = plan.configuration["architecture"]
    return get_network_from_plans(
        architecture["network_class_name"],
        copy.deepcopy(architecture["arch_kwargs"]),
        architecture["_kw_requires_import"],
        len(plan.channels),
        plan.n_classes,
        allow_init=True,
        deep_supervision=deep_supervision,
    )


def initial_vector(plan: Plan, seed: int) -> Float32[np.ndarray, " d"]:
    """The plan's network as nnU-Net initializes it (He), drawn from `seed`, flattened."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return flatten(network(plan))


def parameter_layout(plan: AgreedPlan) -> ParameterLayout:
    """Ordered (name, shape) of the network's parameters."""
    return plan.layout


def network_layout(module: nn.Module) -> ParameterLayout:
    """Ordered (name, shape) over `named_parameters()` of a network."""
    return tuple((name, tuple(parameter.shape)) for name, parameter in module.named_parameters())


def parameter_count(plan: AgreedPlan) -> int:
    """Length d of the plan's flat vector."""
    return layout_size(plan.layout)


def flatten(module: nn.Module) -> Float32[np.ndarray, " d"]:
    """All parameters of a network, in order, as one vector.

    Over `named_parameters()`: a state_dict would hold each of nnU-Net's tensors about three times.
    """
    return np.concatenate([p.detach().cpu().numpy().ravel() for p in module.parameters()], dtype=np.float32)


def unflatten_into(module: nn.Module, vector: Float32[np.ndarray, " d"]) -> None:
    """Copy a flat vector into a network's parameters, in order.

    Raises UpdateError for another length.
    """
    import torch

    with torch.no_grad():
        for parameter, values in vector_slices(module, vector):
            parameter.copy_(torch.from_numpy(values))


def vector_slices(module: nn.Module, vector: Float32[np.ndarray, " d"]) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """Each parameter of a network, in order, with a copy of its part of a flat vector, in its shape.

    Raises UpdateError for another length.
    """
    expected = sum(parameter.numel() for parameter in module.parameters())
    if vector.shape != (expected,):
        raise UpdateError(f"a model vector has shape {vector.shape}, this network needs ({expected},)")
    start = 0
    for parameter in module.parameters():
        stop = start + parameter.numel()
        yield parameter, np.array(vector[start:stop], np.float32).reshape(tuple(parameter.shape))
        start = stop
