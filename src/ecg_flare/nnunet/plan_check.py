"""What of a plan that a job brings may become a class, a function or a path: names on an exact list, and nothing else.

nnU-Net imports whatever a plans.json names (its network, its layers, how it resamples), and makes folders of the names
in it. So a plan is held to this list before nnU-Net sees it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ecg_flare.documents import Fields, short
from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.plan import Plan

_UNET: Final = "dynamic_network_architectures.architectures.unet"
_LAYER: Final = "torch.nn.modules"
_RESAMPLING: Final = ("resample_data_or_seg_to_shape", "resample_torch_fornnunet", "no_resampling_hack")
_READERS: Final = ("SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "NibabelIOWithReorient", "NaturalImage2DIO")

# key of plans.json, of the configuration and of the architecture's arguments -> what it may name
_OF_PLANS: Final = {"image_reader_writer": (*_READERS, "Tiff3DIO"), "label_manager": ("LabelManager",)}
_OF_CONFIGURATION: Final = {
    "preprocessor_name": ("DefaultPreprocessor",),
    "resampling_fn_data": _RESAMPLING,
    "resampling_fn_seg": _RESAMPLING,
    "resampling_fn_probabilities": _RESAMPLING,
}
_OF_NETWORK: Final = {
    "conv_op": tuple(f"{_LAYER}.conv.Conv{n}d" for n in (2, 3)),
    "norm_op": tuple(f"{_LAYER}.instancenorm.InstanceNorm{n}d" for n in (2, 3)),
    "dropout_op": (None,),
    "nonlin": ("torch.nn.LeakyReLU",),
}
_NETWORKS: Final = tuple(f"{_UNET}.{name}" for name in ("PlainConvUNet", "ResidualEncoderUNet", "ResidualUNet"))
_NORMALIZATION: Final = tuple(f"{name}Normalization" for name in ("ZScore", "CT", "No", "RescaleTo01", "RGBTo01"))
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENDINGS: Final = (".nii.gz", ".nrrd", ".mha", ".gipl", ".nii", ".png", ".bmp", ".tif", ".tiff")
_MAX_SIDE: Final = 4096
_MAX_STAGES: Final = 12
_MAX_FEATURES: Final = 2048


def check_plan(plan: Plan) -> Plan:
    """The plan, once nothing in it names what is not listed; raises ConfigError naming the entry."""
    where = f"the plan {plan.name!r}"
    plans = Fields(plan.plans, where, ConfigError)
    _names(plans, _OF_PLANS, where)
    _safe(plan.plans.get("dataset_name"), f"{where}, dataset_name")
    configurations = plans.within("configurations")
    if plan.configuration_name not in configurations:
        raise ConfigError(
            f"{where} has no configuration {plan.configuration_name!r}: it has {', '.join(configurations)}"
        )
    _check_configuration(configurations[plan.configuration_name], f"{where}, {plan.configuration_name}", plan)
    _check_dataset(plan, f"{where}, dataset.json")
    return plan


def _check_configuration(found: Fields, where: str, plan: Plan) -> None:
    configuration = plan.configuration
    _names(found, _OF_CONFIGURATION, where)
    _safe(configuration.get("data_identifier"), f"{where}, data_identifier")
    schemes = found.texts("normalization_schemes")
    if unknown := [scheme for scheme in schemes if scheme not in _NORMALIZATION]:
        raise ConfigError(f"{where}: normalization {unknown[0]!r} is none of {', '.join(_NORMALIZATION)}")
    if len(schemes) != len(plan.channels):
        raise ConfigError(f"{where} normalizes {len(schemes)} channels, its dataset.json has {len(plan.channels)}")
    found.whole("batch_size", 1, 10_000)
    patch = found.series("patch_size", 1, _MAX_SIDE)
    if len(patch) not in (2, 3) or len(found.series("spacing", 0, 1e6)) != len(patch):
        raise ConfigError(f"{where}: patch_size {list(patch)} and spacing need two numbers each, or three")
    if configuration.get("previous_stage"):
        raise ConfigError(f"{where} goes on from another stage (a cascade), which cannot be federated: take another")
    network = Fields(configuration.get("architecture"), f"{where}, architecture", ConfigError)
    _listed(network.text("network_class_name"), _NETWORKS, f"{where}, network_class_name")
    imported = tuple(network.texts("_kw_requires_import"))
    if unknown := sorted(set(imported) - set(_OF_NETWORK)):
        raise ConfigError(f"{where}: _kw_requires_import has {unknown[0]!r}, expected {', '.join(_OF_NETWORK)} alone")
    arguments = Fields(network.mapping("arch_kwargs"), f"{where}, arch_kwargs", ConfigError)
    _names(arguments, _OF_NETWORK, f"{where}, arch_kwargs")
    arguments.whole("n_stages", 2, _MAX_STAGES)
    arguments.series("features_per_stage", 1, _MAX_FEATURES)


def _check_dataset(plan: Plan, where: str) -> None:
    dataset = Fields(plan.dataset_json, where, ConfigError)
    _listed(dataset.text("file_ending"), _ENDINGS, f"{where}, file_ending")
    if "overwrite_image_reader_writer" in plan.dataset_json:
        _listed(dataset.text("overwrite_image_reader_writer"), _OF_PLANS["image_reader_writer"], f"{where}, its reader")
    channels = dataset.mapping("channel_names")
    if sorted(channels) != sorted(map(str, range(len(channels)))) or not channels:
        raise ConfigError(f"{where}: channel_names are {sorted(channels)}, expected '0', '1' and so on")
    labels = dataset.mapping("labels")
    for name, value in labels.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(type(each) is int and 0 <= each < 65_536 for each in values):
            raise ConfigError(f"{where}: label {name!r} is {short(value)}, expected a whole number, or several")
    if labels.get("background") != 0 or len(plan.labels) < 2:
        raise ConfigError(f"{where}: labels are {short(dict(labels))}, expected background 0 and at least one more")
    if plan.has_regions and "regions_class_order" not in plan.dataset_json:
        raise ConfigError(f"{where} has regions but no regions_class_order")


def _names(found: Fields, allowed: Mapping[str, tuple[Any, ...]], where: str) -> None:
    for key, names in allowed.items():
        _listed(found.text(key) if None not in names else found.text(key, None), names, f"{where}, {key}")


def _listed(value: object, names: tuple[Any, ...], where: str) -> None:
    if value not in names:
        raise ConfigError(f"{where} is {short(value)}, expected {' or '.join(map(str, names))}")


def _safe(name: object, where: str) -> None:
    if not isinstance(name, str) or not _SAFE_NAME.fullmatch(name):
        raise ConfigError(f"{where} is {short(name)}, expected letters, digits, '-', '_' and '.'")
