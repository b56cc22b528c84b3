"""Frozen training plans: what every site must hold alike before a round of training means anything.

nnU-Net normally derives its plan from a fingerprint of the data. Sharing fingerprints between hospitals leaks, and
pages are normalized to one resolution anyway, so a plan here is fixed, published and hashed: sites compare the hash
and train, or differ and stop (`PlanMismatchError`). Importing this module costs no torch.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError, PlanMismatchError, UpdateError
from ecg_flare.federated.parts import TrainedModel
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.federated.update import ParameterLayout, layout_digest
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, TRACE_WIDTH_PX, Label

if TYPE_CHECKING:
    import torch
    from torch import nn

CONFIGURATION = "2d"
FILE_ENDING = ".png"
_FORMAT = 1
_DATASET_NAME = "Dataset542_ECGTraces"
_LETTER_PAGE_PX = (864, 1118)


@dataclass(frozen=True)
class Plan:
    """One nnU-Net plan and the dataset description that gives its labels their meaning.

    `plans` and `dataset_json` are nnU-Net's own documents (plans.json, dataset.json). nnU-Net pops entries from
    what it is given: hand it `nnunet_plans()`, a copy.
    """

    name: str
    plans: Mapping[str, Any] = field(repr=False)
    dataset_json: Mapping[str, Any] = field(repr=False)

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over the canonical JSON of everything that changes training or its meaning."""
        document = {
            "format": _FORMAT,
            "plans": self.plans,
            "dataset_json": self.dataset_json,
            "labels": {label.name: int(label) for label in Label},
            "normalized_px_per_mm": NORMALIZED_PX_PER_MM,
            "trace_width_px": TRACE_WIDTH_PX,
        }
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def layout_digest(self) -> str:
        """SHA-256 (hex) of the ordered (name, shape) list of the network's parameters."""
        return layout_digest(parameter_layout(self))

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The plan's 2D configuration."""
        return self.plans["configurations"][CONFIGURATION]

    @property
    def size_multiple_px(self) -> int:
        """What a whole page's height and width must be a multiple of to pass the network."""
        strides = np.array(self.configuration["architecture"]["arch_kwargs"]["strides"])
        return int(strides.prod(axis=0).max())

    @property
    def n_classes(self) -> int:
        """Number of label classes, background included."""
        return len(self.dataset_json["labels"])

    def nnunet_plans(self) -> dict[str, Any]:
        """A copy of `plans` that nnU-Net may change."""
        return copy.deepcopy(dict(self.plans))

    def nnunet_dataset_json(self) -> dict[str, Any]:
        """A copy of `dataset_json` that nnU-Net may change."""
        return copy.deepcopy(dict(self.dataset_json))


@dataclass(frozen=True)
class _Preset:
    features: tuple[int, ...]
    patch_size: tuple[int, int]
    batch_size: int
    conv_bias: bool


# Presets made for private training have no convolution bias: before an instance norm it has no gradient, so under
# differential privacy it would only collect noise. A patch wider than 1.5 times its height keeps nnU-Net's rotations
# within 15 degrees; a square one would be turned upside down.
_PRESETS = {
    "tiny": _Preset((8, 16, 32, 64), (128, 256), batch_size=2, conv_bias=False),
    "small": _Preset((16, 32, 64, 128, 128), (256, 512), batch_size=2, conv_bias=False),
    # nnU-Net's topology rule for this patch, its feature rule (32, doubled, at most 512), bias and batch of reference
    "paper": _Preset((32, 64, 128, 256, 512, 512, 512), (256, 512), batch_size=12, conv_bias=True),
}


def preset_names() -> tuple[str, ...]:
    """Names that `plan_preset` knows, smallest network first."""
    return tuple(_PRESETS)


@cache
def plan_preset(name: str) -> Plan:
    """The published plan of that name: `tiny`, `small` or `paper`.

    Raises ConfigError for any other name.
    """
    if name not in _PRESETS:
        raise ConfigError(f"unknown plan {name!r}: choose one of {', '.join(_PRESETS)}")
    preset = _PRESETS[name]
    dataset_json = {
        "name": _DATASET_NAME,
        "channel_names": {str(channel): "rgb_to_0_1" for channel in range(3)},
        "labels": {label.name.lower(): int(label) for label in Label},
        "file_ending": FILE_ENDING,
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    }
    return Plan(name, _nnunet_plans(name, preset), dataset_json)


def verified_plan(name: str, expected_hash: str) -> Plan:
    """The preset of that name, once its hash equals the one that the other side holds.

    Raises ConfigError for an unknown name and PlanMismatchError for another hash.
    """
    plan = plan_preset(name)
    if plan.hash != expected_hash:
        raise PlanMismatchError(
            f"plan {name!r} has hash {plan.hash} here and {expected_hash} at the other side: "
            "install the same version of ecg_flare at every site"
        )
    return plan


def _nnunet_plans(name: str, preset: _Preset) -> dict[str, Any]:
    n_stages = len(preset.features)
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": f"ecg_flare_{name}_{CONFIGURATION}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": preset.batch_size,
        "patch_size": list(preset.patch_size),
        "median_image_size_in_voxels": list(_LETTER_PAGE_PX),
        "spacing": [1.0, 1.0],
        "normalization_schemes": ["RGBTo01Normalization"] * 3,
        "use_mask_for_norm": [False] * 3,
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": n_stages,
                "features_per_stage": list(preset.features),
                "conv_op": "torch.nn.modules.conv.Conv2d",
                "kernel_sizes": [[3, 3]] * n_stages,
                "strides": [[1, 1]] + [[2, 2]] * (n_stages - 1),
                "n_conv_per_stage": [2] * n_stages,
                "n_conv_per_stage_decoder": [2] * (n_stages - 1),
                "conv_bias": preset.conv_bias,
                "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
    }
    return {
        "dataset_name": _DATASET_NAME,
        "plans_name": f"ecg_flare_{name}",
        "original_median_spacing_after_transp": [999.0, 1.0, 1.0],
        "original_median_shape_after_transp": [1, *_LETTER_PAGE_PX],
        "image_reader_writer": "NaturalImage2DIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: configuration},
        "experiment_planner_used": "ecg_flare",
        "label_manager": "LabelManager",
        # RGBTo01 uses no statistics of the data; nnU-Net still looks for one entry a channel
        "foreground_intensity_properties_per_channel": {str(channel): {} for channel in range(3)},
    }


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
        len(plan.dataset_json["channel_names"]),
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


@cache
def _stored_layouts() -> dict[str, ParameterLayout]:
    text = resources.files("ecg_flare.nnunet").joinpath("layouts.json").read_text()
    return {
        plan_hash: tuple((name, tuple(shape)) for name, shape in entries)
        for plan_hash, entries in json.loads(text).items()
    }


def parameter_layout(plan: Plan) -> ParameterLayout:
    """Ordered (name, shape) of the network's parameters: what gives a flat vector its meaning.

    Presets are read from stored data, so that a server needs no torch; other plans build their network.
    """
    stored = _stored_layouts().get(plan.hash)
    return stored if stored is not None else network_layout(network(plan))


@cache
def trained_subset(model: TrainedModel) -> TrainableSubset:
    """The trained tensors of a preset's network; raises ConfigError for an unknown plan or a pattern of no tensor."""
    return TrainableSubset.matching(parameter_layout(plan_preset(model.plan)), model.trained)


def network_layout(module: nn.Module) -> ParameterLayout:
    """Ordered (name, shape) over `named_parameters()` of a network."""
    return tuple((name, tuple(parameter.shape)) for name, parameter in module.named_parameters())


def parameter_count(plan: Plan) -> int:
    """Length d of the plan's flat vector."""
    return sum(int(np.prod(shape)) for _, shape in parameter_layout(plan))


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

    expected = sum(parameter.numel() for parameter in module.parameters())
    if vector.shape != (expected,):
        raise UpdateError(f"a model vector has shape {vector.shape}, this network needs ({expected},)")
    with torch.no_grad():
        for parameter, values in _slices(module, vector):
            parameter.copy_(torch.from_numpy(values))


def _slices(module: nn.Module, vector: Float32[np.ndarray, " d"]) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    start = 0
    for parameter in module.parameters():
        stop = start + parameter.numel()
        yield parameter, np.array(vector[start:stop], np.float32).reshape(tuple(parameter.shape))
        start = stop
