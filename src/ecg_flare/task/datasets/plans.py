"""Plans for a data set: a stock plans.json of nnU-Net, or a small preset for the images of a dataset.json.

A stock plan comes from `nnUNetv2_plan_and_preprocess` on public data; its dataset.json lies beside it. Only one
configuration of it is trained, and only that one is kept, so that the plan's hash is of nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.plain_unet import plain_unet
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.plan_check import check_description, check_plan

KIND_NAME: Final = "nnunet"
PRESETS: Final = ("small_3d",)
_CONFIGURATIONS: Final = ("3d_fullres", "2d")
_TRAINER: Final = "trainer"
_OF_DATASET: Final[tuple[str, ...]] = (
    "channel_names",
    "labels",
    "file_ending",
    "regions_class_order",
    "overwrite_image_reader_writer",
)
_FEATURES: Final = (8, 16, 32, 64)
_PATCH: Final = (40, 56, 40)
_NORMALIZATION: Final = {
    "nonorm": "NoNormalization",
    "zscore": "ZScoreNormalization",
    "rescale_to_0_1": "RescaleTo01Normalization",
    "rgb_to_0_1": "RGBTo01Normalization",
}


def stock_plan(plans_file: Path, *, configuration: str = "", dataset_file: Path | None = None, trainer: str) -> Plan:
    """The plan in a plans.json of nnU-Net.

    Args:
        plans_file: plans.json, or the folder that it lies in.
        configuration: of it; by default 3d_fullres where it has that, and 2d else.
        dataset_file: dataset.json; by default the one beside it.
        trainer: name of nnU-Net's trainer.

    Raises ConfigError, naming what is wrong, for a file that cannot be read or names what nnU-Net may not be given.
    """
    plans_file = plans_file / "plans.json" if plans_file.is_dir() else plans_file
    plans = _read(plans_file, "Give a plans.json of `nnUNetv2_plan_and_preprocess`.")
    dataset_json = read_description(dataset_file or plans_file.with_name("dataset.json"))
    given = Fields(plans, str(plans_file), ConfigError).mapping("configurations")
    wanted = configuration or next((name for name in _CONFIGURATIONS if name in given), "")
    if wanted not in given:
        raise ConfigError(f"{plans_file} has no configuration {wanted!r}: it has {', '.join(given) or 'none'}")
    chosen = {**plans, "configurations": {wanted: _resolved(given, wanted, plans_file)}}
    name = f"{plans.get('dataset_name', 'dataset')}-{plans.get('plans_name', 'plans')}-{wanted}"
    return check_plan(Plan(name, chosen, dataset_json, wanted, KIND_NAME, {_TRAINER: trainer}))


def preset_plan(name: str, dataset_file: Path, *, spacing: Sequence[float], trainer: str) -> Plan:
    """A small network for the images of a dataset.json, of which nothing else is known.

    `small_3d` has patches of 40 x 56 x 40 voxels and four stages of 8 to 64 features, without the convolutions' bias,
    which would only collect noise. Each channel is normalized as its name asks, by itself where the name says nothing.

    Raises ConfigError for an unknown name, and for a channel of CT, whose normalization needs a plan made from data.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}, or a plans.json")
    if len(spacing) != 3 or min(spacing) <= 0:
        raise ConfigError(f"the spacing of {name} is {list(spacing)}, expected three numbers above 0")
    dataset_json = read_description(dataset_file)
    schemes = [_scheme(str(channel), dataset_file) for channel in dataset_json["channel_names"].values()]
    dataset = str(dataset_json.get("name", "")) or "Dataset001_Federated"
    plans = _preset_plans(dataset, name, [float(side) for side in spacing], schemes)
    plans["image_reader_writer"] = dataset_json.get("overwrite_image_reader_writer", "SimpleITKIO")
    return check_plan(Plan(f"{dataset}-{name}", plans, dataset_json, "3d_fullres", KIND_NAME, {_TRAINER: trainer}))


def trainer_of(plan: Plan) -> str:
    """Name of nnU-Net's trainer that a plan asks for."""
    return str(plan.meaning.get(_TRAINER, "nnUNetTrainer"))


def read_description(path: Path) -> dict[str, Any]:
    """What of a dataset.json gives images and labels their meaning: how many cases somebody has is left out.

    Raises ConfigError for a file that cannot be read, or that is none.
    """
    found = _read(path, "Give the data set's dataset.json.")
    check_description(found, str(path), ConfigError)
    kept = {key: found[key] for key in _OF_DATASET if key in found}
    return {**kept, "name": str(found["name"])} if "name" in found else kept


def _read(path: Path, advice: str) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. {advice}") from error
    return parse_object(data, f"{path} cannot be read. {advice}", ConfigError)


def _resolved(given: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """A configuration with what it inherits."""
    seen: list[str] = []
    chain: list[Mapping[str, Any]] = []
    while name:
        if name in seen or not isinstance(given.get(name), Mapping):
            raise ConfigError(f"{path}: the configuration {name!r} is missing, or inherits from itself")
        seen.append(name)
        chain.append(given[name])
        name = str(given[name].get("inherits_from") or "")
    merged = {key: value for part in reversed(chain) for key, value in part.items()}
    return {key: value for key, value in merged.items() if key not in ("inherits_from", "next_stage")}


def _scheme(channel: str, path: Path) -> str:
    if channel.casefold() == "ct":
        raise ConfigError(f"{path} has a channel of CT, whose normalization follows from data: give a plans.json")
    return _NORMALIZATION.get(channel.casefold(), "ZScoreNormalization")


def _preset_plans(dataset: str, name: str, spacing: list[float], schemes: list[str]) -> dict[str, Any]:
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    resample = "resample_data_or_seg_to_shape"
    configuration = {
        "data_identifier": f"ecg_flare_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(_PATCH),
        "median_image_size_in_voxels": list(_PATCH),
        "spacing": spacing,
        "normalization_schemes": schemes,
        "use_mask_for_norm": [False] * len(schemes),
        "resampling_fn_data": resample,
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg": resample,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": resample,
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "architecture": plain_unet(3, _FEATURES),
        "batch_dice": False,
    }
    return {
        "dataset_name": dataset,
        "plans_name": f"ecg_flare_{name}",
        "original_median_spacing_after_transp": spacing,
        "original_median_shape_after_transp": list(_PATCH),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ecg_flare",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(index): {} for index in range(len(schemes))},
    }
