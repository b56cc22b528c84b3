"""The published plans for ECG pages: one resolution, RGB, and the four labels of a page's mask.

Pages are normalized to one resolution, so that a plan needs no fingerprint of anybody's data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final

from ecg_flare.federated.update import ParameterLayout
from ecg_flare.nnunet.plain_unet import plain_unet
from ecg_flare.nnunet.plan import Plan
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, TRACE_WIDTH_PX, Label
from ecg_flare.task.traces.page_case import FILE_ENDING

KIND_NAME: Final = "traces"
CONFIGURATION: Final = "2d"
_DATASET_NAME: Final = "Dataset542_ECGTraces"
_LETTER_PAGE_PX: Final = (864, 1118)


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

PRESETS: Final = tuple(_PRESETS)
"""Names of the published plans, smallest network first."""


@cache
def trace_plan(name: str) -> Plan:
    """The published plan of that name, one of PRESETS."""
    preset = _PRESETS[name]
    dataset_json = {
        "name": _DATASET_NAME,
        "channel_names": {str(channel): "rgb_to_0_1" for channel in range(3)},
        "labels": {label.name.lower(): int(label) for label in Label},
        "file_ending": FILE_ENDING,
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    }
    meaning = {
        "labels": {label.name: int(label) for label in Label},
        "normalized_px_per_mm": NORMALIZED_PX_PER_MM,
        "trace_width_px": TRACE_WIDTH_PX,
    }
    plan = Plan(name, _nnunet_plans(name, preset), dataset_json, CONFIGURATION, KIND_NAME, meaning)
    return replace(plan, known_layout=_stored_layouts().get(plan.hash))


@cache
def _stored_layouts() -> dict[str, ParameterLayout]:
    text = resources.files("ecg_flare.task.traces").joinpath("layouts.json").read_text()
    return {
        plan_hash: tuple((name, tuple(shape)) for name, shape in entries)
        for plan_hash, entries in json.loads(text).items()
    }


def _nnunet_plans(name: str, preset: _Preset) -> dict[str, Any]:
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
        "architecture": plain_unet(2, preset.features, conv_bias=preset.conv_bias),
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
